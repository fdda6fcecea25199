//! Many threads pick while the set changes.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::bench::{StrategyBench, checked_pick};
use super::lab::Lab;
use crate::failure::Failure;
use crate::instance::Instance;
use crate::member::MemberState;
use crate::random::RandomSource;
use crate::registry::Override;
use crate::strategy::{Candidates, Exclusions, Outcome};

const THREADS: usize = 4;
const PICKS: usize = 3_000;
/// Who is always there, and who comes and goes.
const STAY: usize = 5;
const ALL: usize = 15;

/// Every pick finds somebody who is eligible in the set that it looks at, and in the end exactly as many requests have
/// been counted as were made, and none is in flight.
pub(super) fn threads_may_pick_while_the_set_changes(lab: &Lab<'_>) {
    let bench = lab.equal(ALL);
    let states: Vec<Arc<MemberState>> = (0..ALL)
        .filter_map(|i| Some(Arc::clone(bench.pool().member(&StrategyBench::id(i))?.state())))
        .collect();
    let left = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let _done = Done(&left);
                    (0..PICKS).for_each(|i| pick_once(&bench, i));
                })
            })
            .collect();
        while left.load(Ordering::Acquire) > 0 {
            change_something(&bench);
        }
        for worker in workers {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let in_flight: u64 = states.iter().map(|state| state.in_flight()).sum();
    let started: u64 = states.iter().map(|state| state.started()).sum();
    assert_eq!((in_flight, started), (0, (THREADS * PICKS) as u64), "requests in flight, and ever");
}

/// Counts a thread out, also when it panics.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn pick_once(bench: &StrategyBench, i: usize) {
    let (tried, now) = (Exclusions::new(), bench.now());
    let published = bench.pool().home().published.load();
    let candidates = Candidates::new(&published.set, bench.request(&tried), &now, bench.random());
    let picked = checked_pick(&*published.picker, &candidates);
    let (_, member) = picked.expect("found nobody, although somebody is eligible");
    drop(published);
    let lease = bench.start(&member);
    let elapsed = Duration::from_micros(i as u64);
    let outcome = match i % 3 {
        0 => Outcome::success(elapsed),
        1 => Outcome::failure(Failure::timeout(), elapsed),
        _ => Outcome::cancelled(elapsed),
    };
    bench.pool().record(&member, &outcome, now);
    drop(lease);
}

fn change_something(bench: &StrategyBench) {
    let id = StrategyBench::id(STAY + bench.random().below(ALL - STAY));
    match bench.random().below(4) {
        0 | 1 => bench.put(Instance::new(id).with_weight(1 + bench.random().below(3) as u32)),
        2 => bench.remove(&id),
        _ => bench.lay_over(&id, Override::drain()),
    }
}
