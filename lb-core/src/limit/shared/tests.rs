//! Sharing, under paused time, with a store that is a bucket in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::{Lease, LeaseRequest, SharedLimiters, SharedLimits};
use crate::limit::{Limiter, LimiterFactory};
use crate::limits::Limits;
use crate::registry::RegistryError;
use crate::time::Time;

type Listener = Box<dyn Fn(Duration) + Send + Sync>;

#[derive(Default)]
struct Inner {
    level: f64,
    at: Option<Instant>,
    leased: u64,
    returned: u64,
    calls: u64,
    away: bool,
    listeners: Vec<Arc<Listener>>,
}

/// 100 requests a second; half a second may pile up.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Inner>>);

const QUOTA: Limits = Limits::NONE.requests_per_minute(6_000);

#[async_trait]
impl SharedLimits for Bucket {
    async fn lease(&self, _: &str, request: LeaseRequest) -> Result<Lease, RegistryError> {
        sleep(Duration::from_millis(1)).await;
        let mut inner = self.0.lock().unwrap();
        inner.calls += 1;
        if inner.away {
            return Err(RegistryError::Closed);
        }
        let now = Instant::now();
        let elapsed = inner.at.map_or(Duration::from_secs(1), |at| now - at);
        inner.level =
            (inner.level + elapsed.as_secs_f64() * 100.0 + request.unused_requests as f64).min(50.0);
        inner.at = Some(now);
        inner.returned += request.unused_requests;
        let granted = request.requests.min(inner.level as u64);
        inner.level -= granted as f64;
        inner.leased += granted;
        let mut lease = Lease::new(granted, 0);
        lease.ask_again = Duration::from_millis(10);
        lease.sharers = 4;
        Ok(lease)
    }

    async fn rest(&self, _: &str, remaining: Duration) -> Result<(), RegistryError> {
        let listeners = self.0.lock().unwrap().listeners.clone();
        for listener in &*listeners {
            listener(remaining);
        }
        Ok(())
    }

    fn follow(&self, _: &str, listener: Listener) -> Box<dyn Send + Sync> {
        self.0.lock().unwrap().listeners.push(Arc::new(listener));
        Box::new(())
    }
}

/// A process: its limiter, and the balancer's clock.
struct Process {
    limiter: Arc<dyn Limiter>,
    start: Instant,
    _factory: SharedLimiters,
}

impl Process {
    fn new(store: &Bucket) -> Self {
        let factory = SharedLimiters::new(Arc::new(store.clone()));
        let limiter = factory.limiter("key", QUOTA).unwrap();
        Self { limiter, start: Instant::now(), _factory: factory }
    }

    fn now(&self) -> Time {
        Time::after_origin(self.start.elapsed() + Duration::from_secs(1))
    }

    fn request(&self) -> bool {
        self.limiter.try_acquire(1, self.now()).is_ok()
    }

    /// Asks all the time; how many passed.
    async fn hammer(&self, length: Duration) -> u64 {
        let end = Instant::now() + length;
        let mut passed = 0;
        while Instant::now() < end {
            passed += u64::from(self.request());
            sleep(Duration::from_millis(1)).await;
        }
        passed
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_was_leased_and_the_quota_is_used_up() {
    let store = Bucket::default();
    let processes: Vec<_> = (0..4).map(|_| Process::new(&store)).collect();
    let hammer = |n: usize| processes[n].hammer(Duration::from_secs(10));
    let (a, b, c, d) = tokio::join!(hammer(0), hammer(1), hammer(2), hammer(3));
    let (passed, leased) = (a + b + c + d, store.0.lock().unwrap().leased);
    assert!(passed <= leased, "{passed} passed, {leased} were leased");
    assert!((970..=1060).contains(&passed), "{passed} of 1,000 in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_a_lease_does_not_wait_for_the_store() {
    let store = Bucket::default();
    let process = Process::new(&store);
    // Ten a second, far less than the quota: after the first one all pass at once.
    assert!(!process.request(), "nothing is leased yet");
    sleep(Duration::from_millis(5)).await;
    for n in 0..50 {
        assert!(process.request(), "request {n}");
        sleep(Duration::from_millis(100)).await;
    }
    let calls = store.0.lock().unwrap().calls;
    assert!(calls < 120, "{calls} round trips for 50 requests in five seconds");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_is_given_back_and_then_nobody_asks() {
    let store = Bucket::default();
    let process = Process::new(&store);
    let passed = process.hammer(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(10)).await;
    let (calls, unused) = {
        let inner = store.0.lock().unwrap();
        (inner.calls, inner.leased - inner.returned - passed)
    };
    assert!(unused <= 1, "{unused} were leased, not used and not given back");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(store.0.lock().unwrap().calls, calls, "an idle key costs nothing");
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_has_its_fair_share() {
    let store = Bucket::default();
    let process = Process::new(&store);
    process.hammer(Duration::from_secs(1)).await;
    store.0.lock().unwrap().away = true;
    process.hammer(Duration::from_secs(1)).await;
    let passed = process.hammer(Duration::from_secs(10)).await;
    assert!((240..=280).contains(&passed), "{passed}: a quarter of 1,000");
    store.0.lock().unwrap().away = false;
    process.hammer(Duration::from_secs(2)).await;
    let passed = process.hammer(Duration::from_secs(10)).await;
    assert!(passed > 900, "{passed}: alone with the whole quota again");
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_one_learns_of_all_keep() {
    let store = Bucket::default();
    let (one, two, fresh) = (Process::new(&store), Process::new(&store), Process::new(&store));
    one.hammer(Duration::from_millis(100)).await;
    two.hammer(Duration::from_millis(100)).await;
    one.limiter.refused(Some(Duration::from_secs(60)), one.now());
    assert!(!one.request(), "at once where it was learned");
    sleep(Duration::from_millis(10)).await;
    for process in [&two, &fresh] {
        let until = process.limiter.try_acquire(1, process.now()).unwrap_err();
        let left = until.since(process.now());
        assert!(left > Duration::from_secs(59) && left <= Duration::from_secs(60), "{left:?}");
        assert!(process.limiter.headroom(process.now()) < 1e-9);
    }
    sleep(Duration::from_secs(60)).await;
    assert!(two.hammer(Duration::from_millis(100)).await > 0, "it ends");
}
