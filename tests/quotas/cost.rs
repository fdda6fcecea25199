//! What quotas cost where there are none, and where there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use loadbalance::decide::{Clock, Pool, PoolContext, SeededRandom, Time};
use loadbalance::prelude::*;
use loadbalance::registry::{Entry, Snapshot};
use loadbalance::strategy::{Exclusions, Outcome, PickRequest};

/// Stands still, and counts how often it is read.
struct Watched {
    now: Time,
    reads: AtomicUsize,
}

impl Clock for Watched {
    fn now(&self) -> Time {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.now
    }
}

fn pool(instances: impl IntoIterator<Item = Instance>, now: Time) -> Arc<Pool<Instance>> {
    let pool = Pool::new("model", Arc::new(PoolContext::new()), now);
    let entries = instances.into_iter().map(|instance| Arc::new(Entry::new(instance, Revision::new(1))));
    let snapshot = Arc::new(Snapshot::new(entries.collect(), None, Revision::new(1)));
    pool.apply(|| snapshot, now);
    pool
}

fn numbered(i: u32) -> Instance {
    Instance::new(format!("{i:03}"))
}

#[test]
fn without_quotas_no_clock_is_read_and_nothing_allocated() {
    let clock = Watched { now: Time::after_origin(Duration::from_secs(9)), reads: AtomicUsize::new(0) };
    let (pool, random) = (pool((0..100).map(numbered), clock.now), SeededRandom::new(7));
    let tried = Exclusions::new();
    let pick = || pool.acquire(PickRequest::new(&tried), &clock, &random).expect("nothing is limited");
    drop(pick());
    let info = measure(|| (0..10_000).for_each(|_| drop(pick())));
    assert_eq!((info.count_total, clock.reads.load(Ordering::Relaxed)), (0, 0));
    // One is refused; the others stay as they were.
    let member = Arc::clone(pick().member());
    let refused = Outcome::failure(Failure::limit_exceeded(), Duration::from_millis(5));
    pool.record(&member, &refused, clock.now);
    clock.reads.store(0, Ordering::Relaxed);
    let info = measure(|| (0..10_000).for_each(|_| drop(pick())));
    let reads = clock.reads.load(Ordering::Relaxed);
    assert!((90..=210).contains(&reads), "{reads} reads of the clock: once a round, and not more");
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_pick_among_quotas_allocates_nothing_and_passes_over_who_has_no_room() {
    let now = Time::after_origin(Duration::from_secs(9));
    let limits = Limits::NONE.requests_per_minute(60).tokens_per_minute(6_000).concurrency(3);
    let limited = |i| if i == 1_500 { numbered(i) } else { numbered(i).with_limits(limits) };
    let (pool, random, tried) = (pool((0..3_000).map(limited), now), SeededRandom::new(7), Exclusions::new());
    let pick = || pool.acquire(PickRequest::new(&tried), &now, &random).expect("one has no limits");
    // Each but one has room for one request in this second.
    let mut unlimited = 0;
    let info = measure(|| {
        for _ in 0..10_000 {
            unlimited += usize::from(pick().member().quota_group().is_none());
        }
    });
    assert!(10_000 - unlimited == 2_999, "{unlimited}");
    assert_eq!(info.count_total, 0, "nobody was refused, so nothing had to be noted");
}
