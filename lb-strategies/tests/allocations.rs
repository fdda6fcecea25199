//! A pick allocates nothing: neither the pick itself nor counting the request in and out.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use lb_core::strategy::{Exclusions, PickRequest, Strategy, StrategyFactory};
use lb_core::testing::StrategyBench;
use lb_core::{Instance, StrategySpec};
use lb_strategies::{BuiltInStrategies, Random, RoundRobin};

const PICKS: u64 = 1_000;

/// What `PICKS` requests allocate, after so many that every member has been looked at: what is noted of a member is made
/// when it is first looked at, and stays with it.
fn allocations(strategy: Arc<dyn Strategy<Instance>>, weights: impl Iterator<Item = u32>) -> AllocationInfo {
    let bench = StrategyBench::new(strategy, 1).with_weights(weights);
    let (now, tried) = (bench.now(), Exclusions::new());
    let request = || {
        let request = PickRequest { hash_key: Some(7), ..PickRequest::new(&tried) };
        bench.pool().acquire(request, &now, bench.random()).is_ok()
    };
    assert!((0..8 * bench.set().len()).all(|_| request()));
    measure(|| assert!((0..PICKS).all(|_| request())))
}

/// All that have a name, and their variants.
fn strategies() -> Vec<(&'static str, Arc<dyn Strategy<Instance>>)> {
    let variants: [(_, Arc<dyn Strategy<Instance>>); 2] = [
        ("round robin, even", Arc::new(RoundRobin::new().ignoring_weights())),
        ("random, even", Arc::new(Random::new().ignoring_weights())),
    ];
    let named = BuiltInStrategies::names().iter().map(|name| {
        let strategy = BuiltInStrategies.in_zone("a").build(&StrategySpec::new(*name));
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

/// Members differ in tier and zone, some are away, and time passes, so that it is counted who is there.
#[test]
fn a_choice_among_tiers_and_zones_allocates_nothing() {
    for spec in [StrategySpec::new("priority"), StrategySpec::new("zone_aware"), priority_of_zones()] {
        let strategy: Arc<dyn Strategy<Instance>> = BuiltInStrategies.in_zone("z0").build(&spec).unwrap();
        let bench = StrategyBench::new(strategy, 1);
        for i in 0..300_u32 {
            let (tier, zone) = (i % 40, format!("z{}", i / 40));
            bench.put(Instance::new(StrategyBench::id(i as usize)).with_priority(tier).with_zone(zone));
        }
        (0..300).filter(|i| i % 2 == 0).for_each(|i| bench.rest(&StrategyBench::id(i)));
        let tried = Exclusions::new();
        let request = || {
            bench.advance(Duration::from_millis(1));
            bench.pool().acquire(PickRequest::new(&tried), &bench.now(), bench.random()).is_ok()
        };
        assert!(request());
        let info = measure(|| assert!((0..PICKS).all(|_| request())));
        assert_eq!(info.count_total, 0, "{spec}: {info:?}");
    }
}

fn priority_of_zones() -> StrategySpec {
    let inner = serde_json::json!({ "inner": { "name": "zone_aware", "params": { "min_size": 2 } } });
    StrategySpec::new("priority").with_params(inner)
}

#[test]
fn allocations_are_seen() {
    let info = measure(|| drop(std::hint::black_box(Box::new([0_u8; 64]))));
    assert_eq!(info.count_total, 1);
}
