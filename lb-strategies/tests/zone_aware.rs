//! Who serves how much under [`ZoneAware`].

mod common;

use lb_core::Instance;
use lb_core::strategy::{Exclusions, Strategy};
use lb_core::testing::{StrategyBench, strategy_contract};
use lb_strategies::{Priority, RoundRobin, ZoneAware};

use common::{A_WHILE, Spy, assert_close, assert_told, parts};

const REQUESTS: u64 = 20_000;

/// Zones `a-`, `b-`, … of as many members, of which as many are healthy. Members are called after their zone, `a-1`.
fn bench(strategy: impl Strategy<Instance>, zones: &[(usize, usize)]) -> StrategyBench {
    let bench = StrategyBench::new(strategy, 11);
    for ((_, total), zone) in zones.iter().zip(["a-", "b-", "c-"]) {
        for i in 0..*total {
            bench.put(Instance::new(format!("{zone}{i}")).with_zone(zone));
        }
    }
    for ((healthy, total), zone) in zones.iter().zip(["a-", "b-", "c-"]) {
        (*healthy..*total).for_each(|i| bench.rest(&format!("{zone}{i}")));
    }
    bench
}

fn in_zone(zone: &str) -> ZoneAware<RoundRobin> {
    ZoneAware::new(zone, RoundRobin::new())
}

#[track_caller]
fn assert_zones(strategy: ZoneAware<RoundRobin>, zones: [(usize, usize); 3], expected: [f64; 3]) {
    assert_close(parts(&bench(strategy, &zones), REQUESTS, ["a-", "b-", "c-"]), expected);
}

#[test]
fn without_zones_it_keeps_the_contract_of_the_inner_strategy() {
    strategy_contract(|| in_zone("a-"));
}

#[test]
fn as_much_as_there_is_room_for_stays() {
    assert_zones(in_zone("a-"), [(4, 4), (4, 4), (4, 4)], [1.0, 0.0, 0.0]);
    assert_zones(in_zone("a-"), [(6, 6), (4, 4), (2, 2)], [1.0, 0.0, 0.0]);
    assert_zones(in_zone("b-"), [(6, 6), (3, 3), (3, 3)], [0.25, 0.75, 0.0]);
    assert_zones(in_zone("a-"), [(5, 10), (10, 10), (10, 10)], [0.6, 0.2, 0.2]);
    assert_zones(in_zone("a-"), [(0, 10), (10, 10), (10, 10)], [0.0, 0.5, 0.5]);
    // A failure elsewhere is not this zone's affair.
    assert_zones(in_zone("b-"), [(5, 10), (10, 10), (10, 10)], [0.0, 1.0, 0.0]);
}

#[test]
fn traffic_can_be_told() {
    let told = |zone| in_zone(zone).traffic([("a-", 2.0), ("b-", 2.0), ("c-", 1.0)]);
    assert_zones(told("a-"), [(5, 5), (10, 10), (5, 5)], [0.625, 0.25, 0.125]);
    assert_zones(told("b-"), [(5, 5), (10, 10), (5, 5)], [0.0, 1.0, 0.0]);
    let nothing_from_here = in_zone("a-").traffic([("b-", 1.0), ("c-", 1.0)]);
    assert_zones(nothing_from_here, [(1, 1), (10, 10), (10, 10)], [1.0, 0.0, 0.0]);
}

#[test]
fn capacity_is_counted_by_weight() {
    let bench = StrategyBench::new(in_zone("a-").min_size(2), 3);
    bench.put(Instance::new("a-").with_zone("a-").with_weight(1));
    bench.put(Instance::new("b-").with_zone("b-").with_weight(3));
    assert_close(parts(&bench, REQUESTS, ["a-", "b-"]), [0.5, 0.5]);
}

#[test]
fn where_there_is_no_zone_there_is_only_room() {
    let bench = bench(in_zone("a-"), &[(2, 2), (4, 4)]);
    (0..2).for_each(|i| bench.put(Instance::new(format!("free-{i}"))));
    // Half of the traffic for a quarter of the capacity; `b-` has as much of both.
    assert_close(parts(&bench, REQUESTS, ["a-", "b-", "free-"]), [0.5, 0.0, 0.5]);
}

#[test]
fn zones_do_not_count_among_few_or_for_a_stranger() {
    let third = 1.0 / 3.0;
    assert_zones(in_zone("a-").min_size(7), [(2, 2), (2, 2), (2, 2)], [third; 3]);
    assert_zones(in_zone("a-").min_size(6), [(2, 2), (2, 2), (2, 2)], [1.0, 0.0, 0.0]);
    assert_zones(in_zone("elsewhere"), [(2, 2), (2, 2), (2, 2)], [third; 3]);
    assert_zones(in_zone("a-"), [(6, 6), (0, 0), (0, 0)], [1.0, 0.0, 0.0]);
}

#[test]
fn a_call_goes_on_to_all_other_zones() {
    let bench = bench(in_zone("b-"), &[(3, 3), (3, 3), (3, 3)]);
    let (mut tried, mut next) = (Vec::new(), std::collections::BTreeSet::new());
    for _ in 0..50 {
        tried.clear();
        while let Some(id) = bench.serve_without(&bench.exclusions(&tried)) {
            tried.push(id.to_string());
        }
        assert_eq!(tried.len(), 9);
        assert!(tried[..3].iter().all(|id| id.starts_with("b-")), "the own zone first: {tried:?}");
        next.insert(tried[3][..2].to_owned());
    }
    assert_eq!(next.len(), 2, "always the same neighbour: {next:?}");
}

#[test]
fn what_a_zone_cannot_serve_does_not_fall_on_one_neighbour() {
    let bench = bench(in_zone("a-"), &[(6, 6), (4, 4), (8, 8)]);
    let tried = bench.exclusions((0..6).map(|i| format!("a-{i}")));
    let shares = bench.shares(REQUESTS, &tried);
    let to_b = shares.iter().filter(|(id, _)| id.starts_with("b-")).map(|(_, count)| *count).sum::<u64>();
    assert_close([to_b as f64 / REQUESTS as f64], [1.0 / 3.0]);
}

#[test]
fn what_was_counted_is_used_for_a_while_and_not_longer() {
    let bench = bench(in_zone("a-"), &[(4, 4), (8, 8), (8, 8)]);
    assert_close(parts(&bench, REQUESTS, ["a-", "b-", "c-"]), [0.6, 0.2, 0.2]);
    (0..6).for_each(|i| bench.rest(&format!("b-{i}")));
    assert_close(parts(&bench, REQUESTS, ["a-", "b-", "c-"]), [0.6, 0.2, 0.2]);
    bench.advance(A_WHILE);
    // 4 of 14 for a third of the traffic; only `c-` has more than its third.
    assert_close(parts(&bench, REQUESTS, ["a-", "b-", "c-"]), [12.0 / 14.0, 0.0, 2.0 / 14.0]);
}

#[test]
fn the_inner_pickers_carry_on_over_changes() {
    let bench = StrategyBench::new(ZoneAware::new("a-", RoundRobin::new().starting_at(0)), 1);
    (0..6).for_each(|i| bench.put(Instance::new(format!("a-{i}")).with_zone("a-")));
    let mut order = Vec::new();
    for i in 0..6 {
        order.push(bench.serve().unwrap().to_string());
        let zone = ["b-", "c-"][i % 2];
        bench.put(Instance::new(format!("{zone}{i}")).with_zone(zone));
    }
    assert_eq!(order, ["a-0", "a-1", "a-2", "a-3", "a-4", "a-5"]);
}

#[test]
fn the_picker_of_a_member_s_zone_is_told_of_it() {
    let spy = Spy::default();
    let bench = bench(ZoneAware::new("a-", spy.clone()), &[(2, 4), (4, 4), (4, 4)]);
    spy.told.lock().unwrap().clear();
    assert_told(&spy, &bench);
}

#[test]
fn decorators_can_be_nested() {
    let bench = StrategyBench::new(Priority::new(in_zone("a-").min_size(2)), 5);
    for (id, tier) in [("a-0", 0), ("b-0", 0), ("a-1", 1), ("b-1", 1)] {
        bench.put(Instance::new(id).with_priority(tier).with_zone(&id[..2]));
    }
    let serve = |tried: &[&str]| bench.serve_without(&bench.exclusions(tried)).unwrap().to_string();
    assert_eq!(serve(&[]), "a-0");
    assert_eq!(serve(&["a-0"]), "b-0");
    assert_eq!(serve(&["a-0", "b-0"]), "a-1");
    bench.rest("a-0");
    bench.advance(A_WHILE);
    let shares = bench.shares(REQUESTS, &Exclusions::new());
    // Of the 70 % for the first tier, none can stay in the zone.
    assert!((13_700..14_300).contains(&shares["b-0"]), "{shares:?}");
    assert_eq!(shares["b-0"] + shares["a-1"], REQUESTS, "{shares:?}");
}
