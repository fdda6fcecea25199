//! A new instance under every strategy that shares by weight or by load: it is eased in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lb_core::pool::{Pool, PoolContext};
use lb_core::registry::{Entry, Revision, Snapshot};
use lb_core::strategy::{Exclusions, Outcome, PickRequest, StrategyFactory};
use lb_core::{Instance, SeededRandom, ServiceConfig, SlowStart, StrategySpec, Time};
use lb_strategies::BuiltInStrategies;

const WINDOW: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_millis(20);
/// The time between two requests: eight are in flight at a time, so that there is a load to go by.
const EVERY: Duration = Duration::from_micros(2_500);

struct Service {
    pool: Arc<Pool<Instance>>,
    random: SeededRandom,
    now: Time,
    running: VecDeque<(Time, lb_core::member::Lease<Instance>)>,
}

impl Service {
    fn new(strategy: &str) -> Self {
        let mut context = PoolContext::new();
        context.strategy = BuiltInStrategies.build(&StrategySpec::new(strategy)).unwrap();
        context.config = ServiceConfig::builder().slow_start(SlowStart::over(WINDOW)).build().unwrap();
        let now = Time::after_origin(Duration::from_secs(1));
        let pool = Pool::new("s", Arc::new(context), now);
        Self { pool, random: SeededRandom::new(5), now, running: VecDeque::new() }
    }

    fn set(&self, ids: &[&str]) {
        let entry = |id: &&str| Arc::new(Entry::new(Instance::new(*id), Revision::new(1)));
        let entries = ids.iter().map(entry).collect();
        let snapshot = Arc::new(Snapshot::new(entries, None, Revision::new(ids.len() as u64)));
        self.pool.apply(|| snapshot, self.now);
    }

    /// The part of the requests of so much time that `id` gets, in per cent. All answer after the same time.
    fn share(&mut self, id: &str, time: Duration) -> f64 {
        let (tried, end) = (Exclusions::NONE, self.now + time);
        let (mut hits, mut all) = (0.0, 0.0);
        while self.now < end {
            while self.running.front().is_some_and(|(ends, _)| *ends <= self.now) {
                let (ends, lease) = self.running.pop_front().unwrap();
                self.pool.record(lease.member(), &Outcome::success(LATENCY).ended_at(ends), ends);
            }
            let lease = self.pool.acquire(PickRequest::new(&tried), &self.now, &self.random).unwrap();
            (hits, all) = (hits + f64::from(u8::from(&**lease.member().id() == id)), all + 1.0);
            self.running.push_back((self.now + LATENCY, lease));
            self.pool.tick(self.now);
            self.now = self.now + EVERY;
        }
        hits / all * 100.0
    }
}

#[test]
fn a_new_instance_is_eased_in_by_every_strategy() {
    for name in [
        "round_robin",
        "random",
        "smooth_weighted",
        "static_stride",
        "least_request",
        "least_used",
        "peak_ewma",
        "prequal",
        "auto",
    ] {
        let mut service = Service::new(name);
        service.set(&["a", "b", "c", "d"]);
        let first = service.share("d", WINDOW / 2);
        service.share("d", WINDOW);
        service.set(&["a", "b", "c", "d", "new"]);
        let shares =
            [WINDOW / 10, WINDOW * 4 / 10, WINDOW / 2, WINDOW].map(|time| service.share("new", time));
        assert!((15.0..35.0).contains(&first), "{name}: all are new, so none is eased in: {first}");
        assert!(shares[0] < 8.0, "{name}: a fifth would be its share: {shares:?}");
        assert!(shares[1] > shares[0] && shares[1] < 14.0, "{name}: {shares:?}");
        assert!(shares[2] > shares[1] && (14.0..26.0).contains(&shares[3]), "{name}: {shares:?}");
    }
}
