//! What the tests of faults have in common: registries, callers, and waiting with a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lb_core::registry::{Entry, Freshness, InstanceState, Snapshot, SnapshotWatch};
use lb_core::{Instance, LoadBalancer, RequestError, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, EtcdRegistryBuilder};
use lb_testkit::etcd::{EtcdCluster, EtcdOptions};
use lb_testkit::{Proxy, ProxyMode, eventually};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const TTL: Duration = Duration::from_secs(5);
/// How much longer things may take than they should, because other tests run beside this one.
const SLOWER: u32 = 4;

pub(crate) type Registry = EtcdRegistry<Instance>;

pub(crate) fn builder<E: Into<String>>(urls: impl IntoIterator<Item = E>) -> EtcdRegistryBuilder<Instance> {
    EtcdRegistry::builder(urls).ttl(TTL)
}

pub(crate) async fn connect<E: Into<String>>(urls: impl IntoIterator<Item = E>) -> Registry {
    builder(urls).initial_timeout(Duration::from_secs(20)).connect().await.unwrap()
}

pub(crate) fn instance(id: &str) -> Instance {
    Instance::new(id).with_address(format!("{id}:80"))
}

pub(crate) fn ids(snapshot: &Snapshot<Instance>) -> Vec<&str> {
    snapshot.entries.iter().map(|entry| entry.id()).collect()
}

fn good(entry: &Entry<Instance>) -> bool {
    entry.state == InstanceState::Ready
}

/// Tests that are the same on one member and on three: functions that are given how many. Those that mostly wait do so
/// for both at once.
macro_rules! on_one_and_on_three {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_one_member() {
                super::$test(1).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_three_members() {
                super::$test(3).await;
            }
        }
    )+};
    (at once: $($test:ident),+ $(,)?) => {$(
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_one_member_and_on_three() {
                tokio::join!(super::$test(1), super::$test(3));
            }
        }
    )+};
}
pub(crate) use on_one_and_on_three;

/// So many members.
pub(crate) async fn cluster(members: usize) -> EtcdCluster {
    cluster_with(members, EtcdOptions::new()).await
}

pub(crate) async fn cluster_with(members: usize, options: EtcdOptions) -> EtcdCluster {
    EtcdCluster::start_with(members, &options).await.unwrap()
}

/// A proxy in front of each member.
pub(crate) struct Proxies(Vec<Proxy>);

impl Proxies {
    pub(crate) async fn start(cluster: &EtcdCluster) -> Self {
        let mut proxies = Vec::new();
        for member in cluster.members() {
            proxies.push(Proxy::start(member.client_address()).await.unwrap());
        }
        Self(proxies)
    }

    /// Where clients connect to, of every member.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.0.iter().map(|proxy| format!("http://{}", proxy.address())).collect()
    }

    pub(crate) fn set(&self, mode: ProxyMode) {
        self.0.iter().for_each(|proxy| proxy.set(mode));
    }

    pub(crate) fn reset_all(&self) {
        self.0.iter().for_each(Proxy::reset_all);
    }

    /// Nobody gets through to these members, and everybody is told so.
    pub(crate) fn refuse(&self, places: &[usize]) {
        for &place in places {
            self.0[place].set(ProxyMode::RefuseNew);
            self.0[place].reset_all();
        }
    }

    /// The same for all of them.
    pub(crate) fn refuse_all(&self) {
        self.set(ProxyMode::RefuseNew);
        self.reset_all();
    }
}

/// Brings all that is connected through the proxies to one member, which leads, or does not. They stay there.
pub(crate) async fn in_use(
    cluster: &EtcdCluster,
    proxies: &Proxies,
    place: usize,
    leads: bool,
    watch: &SnapshotWatch<Instance>,
) {
    let others: Vec<_> = (0..cluster.members().len()).filter(|&other| other != place).collect();
    proxies.refuse(&others);
    // By then there was a sign of life for every lease, too.
    tokio::time::sleep(TTL / 2).await;
    until("at one member", watch, Duration::from_secs(2), |s| s.freshness == Freshness::Live).await;
    proxies.set(ProxyMode::Pass);
    lead(cluster, if leads { place } else { others[1] }).await;
}

/// Makes a member the leader.
async fn lead(cluster: &EtcdCluster, place: usize) {
    let member = &cluster.members()[place];
    if member.is_leader().await {
        return;
    }
    // id, status, name, and more
    let list = member.etcdctl(&["member", "list"]).await.unwrap();
    let lines = list.lines().map(|line| line.split(", ").collect::<Vec<_>>());
    let id = lines.into_iter().find(|fields| fields[2] == member.name()).unwrap()[0].to_owned();
    cluster.etcdctl(&["move-leader", &id]).await.unwrap();
    let leads = lb_testkit::eventually_async("it leads", Duration::from_secs(10), || async {
        member.is_leader().await.then_some(())
    });
    leads.await.unwrap();
}

/// Waits until `check` says yes to a snapshot; fails if that takes four times as long as it should. Returns how long it
/// took.
pub(crate) async fn until(
    what: &str,
    watch: &SnapshotWatch<Instance>,
    bound: Duration,
    check: impl Fn(&Snapshot<Instance>) -> bool,
) -> Duration {
    let found = eventually(what, bound * SLOWER, || check(&watch.current()).then_some(())).await;
    match found {
        Ok(((), took)) => {
            println!("{what}: {took:?} (should be at most {bound:?})");
            took
        }
        Err(error) => panic!("{error}: there is {:?}", watch.current()),
    }
}

/// Waits until exactly these are there, ready, and known to be.
pub(crate) async fn until_live(
    what: &str,
    watch: &SnapshotWatch<Instance>,
    bound: Duration,
    expected: &[&str],
) -> Duration {
    until(what, watch, bound, |s| {
        ids(s) == expected && s.freshness == Freshness::Live && s.entries.iter().all(|entry| good(entry))
    })
    .await
}

/// Waits until a condition on a registry holds.
pub(crate) async fn until_status(what: &str, bound: Duration, check: impl Fn() -> bool) -> Duration {
    match eventually(what, bound * SLOWER, || check().then_some(())).await {
        Ok(((), took)) => {
            println!("{what}: {took:?} (should be at most {bound:?})");
            took
        }
        Err(error) => panic!("{error}"),
    }
}

/// Calls a service without a pause, and looks at its snapshot. Whatever happens to etcd: no call fails, none waits, and
/// the snapshot is not empty.
pub(crate) struct Caller {
    end: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    task: JoinHandle<Duration>,
}

impl Caller {
    pub(crate) async fn start(registry: &Registry, service: &'static str) -> Self {
        let lb = LoadBalancer::new(registry.clone());
        let watch = registry.watch(service).await.unwrap();
        let (end, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn({
            let (end, calls) = (Arc::clone(&end), Arc::clone(&calls));
            async move {
                let mut slowest = Duration::ZERO;
                let mut revision = watch.current().revision;
                while !end.load(Ordering::Relaxed) {
                    let snapshot = watch.current();
                    assert!(!snapshot.entries.is_empty(), "nobody is there: {snapshot:?}");
                    assert!(
                        snapshot.revision >= revision,
                        "the revision went back from {revision}: {snapshot:?}"
                    );
                    revision = snapshot.revision;
                    let start = Instant::now();
                    lb.execute(service, async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap();
                    slowest = slowest.max(start.elapsed());
                    calls.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                slowest
            }
        });
        Self { end, calls, task }
    }

    pub(crate) async fn finish(self) {
        self.end.store(true, Ordering::Relaxed);
        let slowest = self.task.await.unwrap();
        let calls = self.calls.load(Ordering::Relaxed);
        println!("{calls} calls served; the slowest took {slowest:?}");
        assert!(calls > 0);
        assert!(slowest < Duration::from_millis(500), "a call waited for {slowest:?}");
    }
}
