//! A pick allocates nothing: neither the pick itself nor counting the request in and out.

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use lb_core::strategy::{Exclusions, PickRequest, Strategy, StrategyFactory};
use lb_core::testing::StrategyBench;
use lb_core::{Instance, StrategySpec};
use lb_strategies::{BuiltInStrategies, Random, RoundRobin};

const PICKS: u64 = 1_000;

/// What `PICKS` requests allocate, after a first one (which may set something up).
fn allocations(strategy: Arc<dyn Strategy<Instance>>, weights: impl Iterator<Item = u32>) -> AllocationInfo {
    let bench = StrategyBench::new(strategy, 1).with_weights(weights);
    let (now, tried) = (bench.now(), Exclusions::new());
    let request = || {
        let request = PickRequest { hash_key: Some(7), ..PickRequest::new(&tried) };
        bench.pool().acquire(request, &now, bench.random()).is_ok()
    };
    assert!(request());
    measure(|| assert!((0..PICKS).all(|_| request())))
}

/// All that have a name, and their variants.
fn strategies() -> Vec<(&'static str, Arc<dyn Strategy<Instance>>)> {
    let variants: [(_, Arc<dyn Strategy<Instance>>); 2] = [
        ("round robin, even", Arc::new(RoundRobin::new().ignoring_weights())),
        ("random, even", Arc::new(Random::new().ignoring_weights())),
    ];
    let named = BuiltInStrategies::names().iter().map(|name| {
        let strategy = BuiltInStrategies.build(&StrategySpec::new(*name));
        (*name, strategy.expect("all parameters have defaults"))
    });
    named.chain(variants).collect()
}

#[test]
fn a_pick_allocates_nothing() {
    for (name, strategy) in strategies() {
        for n in [3, 1000] {
            let equal: Vec<u32> = vec![1; n];
            let mild = (0..n as u32).map(|i| 1 + i % 3).collect();
            let skewed = (0..n as u32).map(|i| if i == 1 { 1_000_000 } else { 1 }).collect();
            for (weights, kind) in [(equal, "equal"), (mild, "mild"), (skewed, "skewed")] {
                let info = allocations(Arc::clone(&strategy), weights.into_iter());
                assert_eq!(info.count_total, 0, "{name}, {n} members, {kind} weights: {info:?}");
            }
        }
    }
}

#[test]
fn allocations_are_seen() {
    let info = measure(|| drop(std::hint::black_box(Box::new([0_u8; 64]))));
    assert_eq!(info.count_total, 1);
}
