//! What is put through faults: a registry that announces, one that watches and calls, and the invariants.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lb_core::registry::{Announcement, Freshness, InstanceState, SnapshotWatch};
use lb_core::{Instance, LoadBalancer, RequestError, ServiceRegistry};
use lb_registry_redis::{RedisRegistry, RedisRegistryBuilder};
use lb_testkit::redis::RedisServer;
use lb_testkit::{eventually, eventually_async};
use tokio::time::Instant;

pub(crate) const TTL: Duration = Duration::from_secs(3);
/// What was announced is there again after a loss of data: a third of the time-to-live, and a second for the rest.
pub(crate) const BACK: Duration = Duration::from_secs(TTL.as_secs() / 3 + 1);
pub(crate) const INSTANCES: &str = "lb:{faults/s}:i";
pub(crate) const EXPIRIES: &str = "lb:{faults/s}:x";
pub(crate) const VERSION: &str = "lb:{faults/s}:v";
pub(crate) const CHANNEL: &str = "lb:{faults/s}:ch";

pub(crate) fn builder(url: &str) -> RedisRegistryBuilder<Instance> {
    RedisRegistry::builder(url).unwrap().namespace("faults").ttl(TTL)
}

/// Calls the service all the time; none may fail, and none may wait for the registry.
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    slow: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Callers {
    fn start(lb: LoadBalancer<Instance>) -> Self {
        let (stop, failed, calls, slow) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let (ends, failures, count, slowest): (
            Arc<AtomicBool>,
            Arc<AtomicU64>,
            Arc<AtomicU64>,
            Arc<AtomicU64>,
        ) = (Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&calls), Arc::clone(&slow));
        let task = tokio::spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let start = Instant::now();
                let called = lb.execute("s", |_| async { Ok::<_, RequestError>(()) }).await;
                slowest.fetch_max(start.elapsed().as_micros() as u64, Ordering::Relaxed);
                failures.fetch_add(u64::from(called.is_err()), Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { stop, failed, calls, slow, task }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        assert_eq!(self.failed.load(Ordering::Relaxed), 0, "calls failed");
        assert!(self.calls.load(Ordering::Relaxed) > 0);
        let slowest = Duration::from_micros(self.slow.load(Ordering::Relaxed));
        // A timer's resolution, and a machine that does other things; waiting for Redis would take a second.
        assert!(slowest < Duration::from_millis(700), "a call took {slowest:?}: did it wait for Redis?");
    }
}

pub(crate) struct Fleet {
    /// Announces.
    pub(crate) a: RedisRegistry<Instance>,
    /// Watches and calls.
    pub(crate) b: RedisRegistry<Instance>,
    pub(crate) watch: SnapshotWatch<Instance>,
    _announced: Vec<Announcement<Instance>>,
    callers: Option<Callers>,
}

impl Fleet {
    /// Three announced instances, watched from elsewhere, and called all the time.
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(builder(url), builder(url)).await
    }

    pub(crate) async fn with(a: RedisRegistryBuilder<Instance>, b: RedisRegistryBuilder<Instance>) -> Self {
        let (a, b) = (a.connect().await.unwrap(), b.connect().await.unwrap());
        let mut announced = Vec::new();
        for id in ["x", "y", "z"] {
            announced.push(a.announce("s", Instance::new(id)).await.unwrap());
        }
        let watch = b.watch("s").await.unwrap();
        let lb = LoadBalancer::new(b.clone());
        lb.execute("s", |_| async { Ok::<_, RequestError>(()) }).await.unwrap();
        let callers = Some(Callers::start(lb));
        let fleet = Self { a, b, watch, _announced: announced, callers };
        fleet.sees(&["x", "y", "z"], Duration::from_secs(10)).await;
        fleet
    }

    pub(crate) fn view(&self) -> Vec<String> {
        self.watch.current().entries.iter().map(|entry| entry.id().to_owned()).collect()
    }

    pub(crate) fn suspects(&self) -> usize {
        let current = self.watch.current();
        current.entries.iter().filter(|entry| entry.state == InstanceState::Suspect).count()
    }

    pub(crate) fn is_live(&self) -> bool {
        self.watch.current().freshness == Freshness::Live
    }

    /// Waits until exactly these are in the view, and none is suspect; how long that took.
    pub(crate) async fn sees(&self, ids: &[&str], bound: Duration) -> Duration {
        let what = format!("a view of {ids:?}");
        let seen =
            eventually(&what, bound, || (self.view() == ids && self.suspects() == 0).then_some(())).await;
        match seen {
            Ok(((), took)) => took,
            Err(error) => panic!(
                "{error}; there is {:?}, {} suspect, {:?}",
                self.view(),
                self.suspects(),
                self.b.status()
            ),
        }
    }

    pub(crate) async fn is_live_within(&self, bound: Duration) -> Duration {
        eventually("a live registry", bound, || self.is_live().then_some(())).await.unwrap().1
    }

    pub(crate) async fn is_stale_within(&self, bound: Duration) -> Duration {
        eventually("a registry that says it is stale", bound, || (!self.is_live()).then_some(()))
            .await
            .unwrap()
            .1
    }

    /// Registers one through `a` and waits until `b` sees it and is live; the whole way works. How long that took.
    pub(crate) async fn converges(&self, id: &str, bound: Duration) -> Duration {
        let start = Instant::now();
        let registered = eventually_async("a registration", bound, async || {
            self.a.register("s", Instance::new(id)).await.ok()
        });
        registered.await.unwrap();
        let left = bound.saturating_sub(start.elapsed());
        let what = format!("{id} in the view");
        let seen = eventually(&what, left, || {
            (self.view().iter().any(|seen| seen == id) && self.is_live()).then_some(())
        });
        if let Err(error) = seen.await {
            panic!("{error}; there is {:?}: {:?}", self.view(), self.b.status());
        }
        start.elapsed()
    }

    /// What was called did not notice, and what is seen is what the server holds.
    pub(crate) async fn end(mut self, server: &RedisServer) {
        let listing =
            eventually_async("a view that is the server's listing", Duration::from_secs(12), async || {
                let listed = listing(server).await;
                let seen: BTreeSet<String> = self.view().into_iter().collect();
                (listed == seen && self.suspects() == 0 && self.is_live()).then_some(())
            });
        if let Err(error) = listing.await {
            panic!("{error}: {:?} and {:?}; {:?}", listing_text(server).await, self.view(), self.b.status());
        }
        if let Some(callers) = self.callers.take() {
            callers.end().await;
        }
    }
}

pub(crate) async fn listing(server: &RedisServer) -> BTreeSet<String> {
    let keys = server.cli(&["HKEYS", INSTANCES]).await.unwrap_or_default();
    keys.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

async fn listing_text(server: &RedisServer) -> String {
    server.cli(&["HGETALL", INSTANCES]).await.unwrap_or_else(|error| error.to_string())
}

/// Waits until the server holds exactly these; how long that took.
pub(crate) async fn server_has(server: &RedisServer, ids: &[&str], bound: Duration) -> Duration {
    let wanted: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let what = format!("{ids:?} on the server");
    let there = eventually_async(&what, bound, async || (listing(server).await == wanted).then_some(()));
    match there.await {
        Ok(((), took)) => took,
        Err(error) => panic!("{error}; there is {:?}", listing(server).await),
    }
}

/// Says in the test's output how long something took.
pub(crate) fn took(fault: &str, what: &str, took: Duration, bound: Duration) {
    println!("{fault}: {what} after {:.2} s (bound {:.0} s)", took.as_secs_f64(), bound.as_secs_f64());
}
