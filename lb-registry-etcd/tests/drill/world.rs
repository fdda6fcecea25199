//! Servers, proxies in front of them, and two processes' registries: one that is watched, one that announces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lb_core::registry::{Announcement, Freshness, InstanceState, Snapshot, SnapshotWatch};
use lb_core::{Instance, ServiceInstance, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, EtcdRegistryBuilder, RemovalPolicy};
use lb_testkit::etcd::{EtcdCluster, EtcdOptions, EtcdServer};
use lb_testkit::schedule::{Bounds, HotPath, SERVICE};
use lb_testkit::{Error, Proxy, Result, eventually};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The time to live of what is announced.
pub(crate) const TTL: Duration = Duration::from_secs(5);
/// How long one that vanished in a crowd is kept.
pub(crate) const GRACE: Duration = Duration::from_secs(6);
/// The bounds hold on a machine that does nothing else. One that runs other tests is given this much more.
const LOADED: u32 = 2;
/// How many tests have servers running at a time.
static PLACES: Semaphore = Semaphore::const_new(3);

/// What each test has. The observer reaches the servers through proxies, the announcer directly.
pub(crate) struct World {
    pub(crate) cluster: EtcdCluster,
    pub(crate) observer: EtcdRegistry<Instance>,
    pub(crate) announcer: EtcdRegistry<Instance>,
    pub(crate) watch: SnapshotWatch<Instance>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) announced: Vec<Announcement<Instance>>,
    pub(crate) hot_path: HotPath,
    _place: SemaphorePermit<'static>,
}

/// A registry with the settings of these tests.
pub(crate) fn builder(endpoints: Vec<String>) -> EtcdRegistryBuilder<Instance> {
    EtcdRegistry::builder(endpoints).ttl(TTL).removal(RemovalPolicy::for_ttl(TTL).with_grace(GRACE))
}

pub(crate) async fn proxied(cluster: &EtcdCluster) -> Result<(Vec<Proxy>, Vec<String>)> {
    let mut proxies = Vec::new();
    for member in cluster.members() {
        proxies.push(Proxy::start(member.client_address()).await?);
    }
    let urls = proxies.iter().map(|proxy| format!("http://{}", proxy.address())).collect();
    Ok((proxies, urls))
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}

impl World {
    /// Members, and three announced instances, `a-0` to `a-2`.
    pub(crate) async fn start(members: usize) -> Result<Self> {
        let place = Self::place().await?;
        let cluster = EtcdCluster::start_with(members, &EtcdOptions::new()).await?;
        let (proxies, urls) = proxied(&cluster).await?;
        let observer = builder(urls).connect().await.map_err(failed)?;
        let announcer = builder(cluster.client_urls()).connect().await.map_err(failed)?;
        let mut announced = Vec::new();
        for i in 0..3 {
            let instance = Instance::new(format!("a-{i}")).with_address(format!("a-{i}.test:80"));
            announced.push(announcer.announce(SERVICE, instance).await.map_err(failed)?);
        }
        let watch = observer.watch(SERVICE).await.map_err(failed)?;
        let three = || (watch.current().entries.len() == 3).then_some(());
        eventually("three instances are seen", Duration::from_secs(10), three).await?;
        let bounds = Bounds { look_up: Duration::from_secs(1), ..Bounds::default() };
        let hot_path = HotPath::start(Arc::new(observer.clone()), bounds).await?;
        Ok(Self { cluster, observer, announcer, watch, proxies, announced, hot_path, _place: place })
    }

    pub(crate) async fn place() -> Result<SemaphorePermit<'static>> {
        PLACES.acquire().await.map_err(failed)
    }

    /// The snapshot that the observer has.
    pub(crate) fn seen(&self) -> Arc<Snapshot<Instance>> {
        self.watch.current()
    }

    /// The member that the observer is connected to.
    pub(crate) fn watched(&self) -> Result<(&EtcdServer, &Proxy)> {
        let both = self.cluster.members().iter().zip(&self.proxies);
        let used = both.max_by_key(|(_, proxy)| proxy.connections());
        used.ok_or_else(|| Error::new("the observer is connected to none"))
    }

    /// Writes an instance by etcd's own tool, as a Go program would.
    pub(crate) async fn put(&self, through: &EtcdServer, id: &str) -> Result<()> {
        let value = format!(r#"{{"Op":0,"Addr":"{id}.test:80","Metadata":null}}"#);
        through.etcdctl(&["put", &key(id), &value]).await.map(|_| ())
    }

    /// Waits until the observer sees `id` as one in use, and fails if that takes longer than `bound`, with what a
    /// loaded machine is given. Prints how long it took since `since`.
    pub(crate) async fn sees(&self, id: &str, since: Instant, bound: Duration) -> Result<()> {
        self.eventually(&format!("`{id}` is seen"), since, bound, |seen| {
            seen.entries.get(id).is_some_and(|entry| entry.state == InstanceState::Ready)
        })
        .await
    }

    /// The same for any condition of the snapshot.
    pub(crate) async fn eventually(
        &self,
        what: &str,
        since: Instant,
        bound: Duration,
        is: impl Fn(&Snapshot<Instance>) -> bool,
    ) -> Result<()> {
        let left = (bound * LOADED).saturating_sub(since.elapsed());
        eventually(what, left, || is(&self.watch.current()).then_some(())).await.map_err(|error| {
            Error::new(format!("{error}; {:?}; {:?}", self.seen(), self.observer.last_error()))
        })?;
        measured(what, since, bound);
        Ok(())
    }

    /// Waits until the announced instances are in etcd again.
    pub(crate) async fn registered(&self, since: Instant, bound: Duration) -> Result<()> {
        let what = "all announced instances are in etcd";
        let left = (bound * LOADED).saturating_sub(since.elapsed());
        lb_testkit::eventually_async(what, left, || async {
            let listing = listing(&self.cluster.members()[0]).await.ok()?;
            self.announced.iter().all(|announced| listing.contains_key(announced.id())).then_some(())
        })
        .await?;
        measured(what, since, bound);
        Ok(())
    }

    /// Waits until the observer sees exactly what etcd lists, live and without suspects.
    pub(crate) async fn agrees(&self, since: Instant, bound: Duration) -> Result<()> {
        let listing = listing(&self.cluster.members()[0]).await?;
        self.eventually("the snapshot is what etcd lists", since, bound, |seen| {
            let weights: BTreeMap<_, _> = seen
                .entries
                .iter()
                .filter(|entry| entry.state == InstanceState::Ready)
                .map(|entry| (entry.id().to_owned(), entry.instance.weight()))
                .collect();
            seen.freshness == Freshness::Live && seen.entries.len() == listing.len() && weights == listing
        })
        .await
    }

    /// At the end of every test: all calls were served at once, from a list that was never empty.
    pub(crate) fn served(self) -> Result<()> {
        let calls = self.hot_path.check()?;
        println!("{calls} calls were served at once");
        Ok(())
    }

    /// How often everything has been listed.
    pub(crate) fn lists(&self) -> u64 {
        self.observer.status().relists
    }
}

/// Where an instance of the service is.
pub(crate) fn key(id: &str) -> String {
    format!("lb/instances/{SERVICE}/{id}")
}

/// What etcd lists by its own tool: ids and weights.
pub(crate) async fn listing(through: &EtcdServer) -> Result<BTreeMap<String, u32>> {
    let pairs = through.get_prefix(&key("")).await?;
    Ok(pairs
        .into_iter()
        .map(|(key, value)| {
            let id = key.rsplit('/').next().unwrap_or_default().to_owned();
            let json: serde_json::Value = serde_json::from_slice(&value).unwrap_or_default();
            // One that a Go program writes has no weight, which is one.
            let weight = json["weight"].as_u64().unwrap_or(1);
            (id, u32::try_from(weight).unwrap_or(u32::MAX))
        })
        .collect())
}

fn measured(what: &str, since: Instant, bound: Duration) {
    println!("{what} after {:.2} s (bound {:.1} s)", since.elapsed().as_secs_f64(), bound.as_secs_f64());
}
