//! What a call costs beside the sum of the parts that no balancer can do without. `cargo bench`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use lb_core::testing::StrategyBench;
use loadbalance::decide::{Pool, PoolContext, ThreadRandom, Time};
use loadbalance::prelude::*;
use loadbalance::registry::{Entry, Snapshot};
use loadbalance::strategy::{Candidates, Exclusions, LeastUsed, PickRequest, Strategy};

mod support;

use support::floors::{self, Services};
use support::measure::{Case, measure};
use support::{SERVICE, balancer, call, call_by_name, is_smoke, registry, runtime, table};

/// Numbers of instances.
const SIZES: [usize; 5] = [3, 16, 128, 1024, 16_384];

static NOTHING: Exclusions = Exclusions::NONE;

fn main() {
    let runtime = runtime();
    let mut cases = floors::parts();
    let parts = cases.len();
    let sizes = if is_smoke() { &SIZES[..1] } else { &SIZES[..] };
    for &n in sizes {
        calls(&runtime, n, &mut cases);
        pick(n, &mut cases);
    }
    quotas(&mut cases);
    let costs = measure(&mut cases, if is_smoke() { 2 } else { 50 });
    let floor: f64 = costs[..parts].iter().map(|cost| cost.nanos).sum();
    let row = |(case, cost): (&Case<'_>, &support::measure::Cost)| {
        let allocations = format!("{:.3}", cost.allocations);
        vec![case.name.clone(), table::ns(cost.nanos), table::times(cost.nanos / floor), allocations]
    };
    let rows: Vec<_> = cases.iter().zip(&costs).map(row).collect();
    table::print("one thread", &["what", "ns", "of the floor", "allocations"], &rows);
    println!("\nthe floor is the sum of the first {parts} rows: {floor:.1} ns");
}

/// The ways to make one request among `n` instances.
fn calls<'a>(runtime: &'a tokio::runtime::Runtime, n: usize, cases: &mut Vec<Case<'a>>) {
    let by_hand = Services::new(n);
    cases.push(floors::repeat(&format!("written by hand, {n}"), move || {
        by_hand.call(black_box(SERVICE), |member| {
            black_box(member);
        });
    }));
    let lb = runtime.block_on(balancer(n));
    let handle = lb.service(SERVICE);
    let picking = handle.clone();
    cases.push(Case::new(format!("execute, {n}"), move |count| {
        runtime.block_on(call_by_name(&lb, count));
    }));
    cases.push(Case::new(format!("execute through a handle, {n}"), move |count| {
        runtime.block_on(call(&handle, count));
    }));
    let options = CallOptions::new();
    cases.push(floors::repeat(&format!("try_pick and finish, {n}"), move || {
        picking.try_pick(&options).expect("somebody is there").finish();
    }));
    let now = Time::from_nanos(1);
    let pool = Pool::<Instance>::new(SERVICE, Arc::new(PoolContext::new()), now);
    let snapshot = runtime.block_on(async { registry(n).watch(SERVICE).await.expect("valid").current() });
    pool.apply(move || snapshot, now);
    cases.push(floors::repeat(&format!("pick, count in and out, {n}"), move || {
        pool.acquire(PickRequest::new(&NOTHING), &now, &ThreadRandom).expect("somebody is there")
    }));
}

/// The pick alone, without counting anybody in: one set, one picker, and a view of the set per attempt.
fn pick(n: usize, cases: &mut Vec<Case<'_>>) {
    let set = StrategyBench::new(RoundRobin::new(), 7).with_equal_members(n).set();
    let picker = RoundRobin::new().picker(&set, None);
    let now = Time::from_nanos(1);
    cases.push(floors::repeat(&format!("the pick alone, {n}"), move || {
        let candidates = Candidates::new(&set, PickRequest::new(&NOTHING), &now, &ThreadRandom);
        picker.pick(&candidates).expect("somebody is there")
    }));
}

/// Picks among instances that all have a quota which is never used up: the time is read from a clock that stands still.
fn quotas(cases: &mut Vec<Case<'_>>) {
    let strategies: [(&str, Arc<dyn Strategy<Instance>>); 2] =
        [("round robin", Arc::new(RoundRobin::new())), ("least used", Arc::new(LeastUsed::new()))];
    for (name, strategy) in strategies {
        let now = Time::from_nanos(1 << 40);
        let mut context = PoolContext::new();
        context.strategy = strategy;
        let pool = Pool::<Instance>::new(SERVICE, Arc::new(context), now);
        let limits =
            Limits::NONE.concurrency(1 << 30).tokens_per_minute(u64::MAX).requests_per_minute(u32::MAX);
        let limits = limits.burst(Duration::from_secs(1_000_000));
        let instance = |i| Instance::new(format!("instance-{i:06}")).with_limits(limits);
        let entries = (0..100).map(|i| Arc::new(Entry::new(instance(i), Revision::new(1)))).collect();
        let snapshot = Arc::new(Snapshot::new(entries, None, Revision::new(1)));
        pool.apply(move || snapshot, now);
        cases.push(floors::repeat(&format!("pick among 100 with quotas, {name}"), move || {
            pool.acquire(PickRequest::new(&NOTHING), &now, &ThreadRandom).expect("there is room")
        }));
    }
}
