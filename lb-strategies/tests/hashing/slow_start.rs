//! Members that are eased in.

use std::sync::Arc;
use std::time::Duration;

use lb_core::pool::{Pool, PoolContext};
use lb_core::registry::{Entry, Revision, Snapshot};
use lb_core::strategy::{Exclusions, PickRequest};
use lb_core::{Instance, SeededRandom, ServiceConfig, SlowStart, Time};
use lb_strategies::{Ketama, Rendezvous, RingHash};

use super::{AnyStrategy, all, counts, keys};

/// A service whose instances are eased in over ten seconds.
struct Service {
    pool: Arc<Pool<Instance>>,
    entries: Vec<Arc<Entry<Instance>>>,
    seconds: u64,
}

impl Service {
    fn new(strategy: AnyStrategy) -> Self {
        let mut context = PoolContext::new();
        context.strategy = strategy;
        let slow_start = SlowStart::over(Duration::from_secs(10));
        context.config = ServiceConfig::builder().slow_start(slow_start).build().unwrap();
        let pool = Pool::new("s", Arc::new(context), Time::after_origin(Duration::from_secs(1)));
        Self { pool, entries: Vec::new(), seconds: 1 }
    }

    fn now(&self) -> Time {
        Time::after_origin(Duration::from_secs(self.seconds))
    }

    fn add(&mut self, ids: &[&str]) {
        let revision = Revision::new(self.entries.len() as u64 + 1);
        self.entries.extend(ids.iter().map(|id| Arc::new(Entry::new(Instance::new(*id), revision))));
        let snapshot = Arc::new(Snapshot::new(self.entries.iter().cloned().collect(), None, revision));
        self.pool.apply(|| snapshot, self.now());
    }

    fn owners(&self, keys: &[u64]) -> Vec<String> {
        let (random, tried) = (SeededRandom::new(1), Exclusions::NONE);
        let owner = |key: &u64| {
            let request = PickRequest { hash_key: Some(*key), ..PickRequest::new(&tried) };
            self.pool.acquire(request, &self.now(), &random).unwrap().member().id().to_string()
        };
        keys.iter().map(owner).collect()
    }
}

/// Keys come over one by one, and none goes to and fro.
#[test]
fn a_slow_start_takes_keys_over_one_by_one() {
    let keys = keys(2_000);
    for (strategy, _) in all() {
        let name = strategy.name().to_owned();
        let mut service = Service::new(strategy);
        service.add(&["a", "b", "c", "d"]);
        service.seconds += 60;
        let mut last = service.owners(&keys);
        service.add(&["e"]);
        let mut taken = Vec::new();
        for second in 0..12 {
            let now = service.owners(&keys);
            // Where what is not taken over yet stays for the time being, tables find a new place in the first second.
            let kept = [RingHash::NAME, Ketama::NAME, Rendezvous::NAME].contains(&&*name);
            let strays =
                last.iter().zip(&now).filter(|(before, after)| before != after && *after != "e").count();
            assert!(strays <= if second == 0 && !kept { keys.len() / 4 } else { 0 }, "{name}: {strays}");
            taken.push(counts(&now).get("e").copied().unwrap_or(0));
            last = now;
            service.seconds += 1;
        }
        assert!(taken[0] < 100 && taken[11] > 250, "{name}: {taken:?}");
        assert!(taken.windows(2).all(|two| two[0] <= two[1]), "{name}: {taken:?}");
    }
}
