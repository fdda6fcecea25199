//! Who serves how much under [`Priority`].

mod common;

use lb_core::Instance;
use lb_core::registry::{InstanceState, Override};
use lb_core::strategy::{Interest, Outcome, Strategy};
use lb_core::testing::{StrategyBench, strategy_contract};
use lb_strategies::{Priority, RoundRobin};

use common::{A_WHILE, Spy, assert_close, assert_told, parts};

const REQUESTS: u64 = 20_000;

/// Tiers of as many members, of which as many are healthy. Members are called after their tier, `0-1` or `1-0`.
fn bench(strategy: impl Strategy<Instance>, tiers: &[(usize, usize)]) -> StrategyBench {
    let bench = StrategyBench::new(strategy, 11);
    for (tier, (_, total)) in tiers.iter().enumerate() {
        for i in 0..*total {
            bench.put(Instance::new(format!("{tier}-{i}")).with_priority(tier as u32));
        }
    }
    for (tier, (healthy, total)) in tiers.iter().enumerate() {
        (*healthy..*total).for_each(|i| bench.rest(&format!("{tier}-{i}")));
    }
    bench
}

#[track_caller]
fn assert_loads<const N: usize>(
    strategy: impl Strategy<Instance>,
    tiers: [(usize, usize); N],
    loads: [f64; N],
) {
    let prefixes = ["0-", "1-", "2-"];
    assert_close(parts(&bench(strategy, &tiers), REQUESTS, std::array::from_fn(|i| prefixes[i])), loads);
}

fn priority() -> Priority<RoundRobin> {
    Priority::new(RoundRobin::new())
}

#[test]
fn without_tiers_it_keeps_the_contract_of_the_inner_strategy() {
    strategy_contract(priority);
}

#[test]
fn loads_are_those_of_the_rule() {
    assert_loads(priority(), [(4, 4), (4, 4)], [1.0, 0.0]);
    assert_loads(priority(), [(3, 4), (4, 4)], [1.0, 0.0]);
    assert_loads(priority(), [(2, 4), (2, 4)], [0.7, 0.3]);
    assert_loads(priority().overprovisioning(1.0), [(2, 4), (2, 4)], [0.5, 0.5]);
    assert_loads(priority(), [(1, 4), (2, 2)], [0.35, 0.65]);
    assert_loads(priority(), [(0, 4), (2, 2)], [0.0, 1.0]);
    assert_loads(priority(), [(1, 4), (1, 4), (4, 4)], [0.35, 0.35, 0.3]);
    assert_loads(priority().panic_threshold(0.0), [(5, 20), (5, 20), (4, 20)], [0.36, 0.36, 0.28]);
    assert_loads(priority(), [(1, 20), (13, 20)], [0.07, 0.93]);
}

#[test]
fn in_total_panic_those_that_are_left_get_the_same() {
    assert_loads(priority(), [(1, 4), (1, 4)], [0.5, 0.5]);
    assert_loads(priority(), [(1, 4), (1, 12)], [0.5, 0.5]);
    assert_loads(priority(), [(1, 4), (3, 20)], [0.25, 0.75]);
    // Without panic the first goes on to get most of it.
    assert_loads(priority().panic_threshold(0.0), [(1, 4), (1, 12)], [0.76, 0.24]);
}

#[test]
fn health_is_counted_by_weight() {
    let bench = StrategyBench::new(priority().overprovisioning(1.0), 3);
    for (id, weight, tier) in [("0-a", 6, 0), ("0-b", 4, 0), ("1-a", 1, 1)] {
        bench.put(Instance::new(id).with_weight(weight).with_priority(tier));
    }
    bench.rest("0-b");
    assert_close(parts(&bench, REQUESTS, ["0-", "1-"]), [0.6, 0.4]);
}

#[test]
fn within_a_tier_the_inner_strategy_chooses() {
    let bench = bench(priority(), &[(2, 4), (4, 4)]);
    assert_close(parts(&bench, REQUESTS, ["0-0", "0-1", "1-0", "1-3"]), [0.35, 0.35, 0.075, 0.075]);
}

#[test]
fn tiers_need_not_be_numbered_one_after_the_other() {
    let bench = StrategyBench::new(priority(), 3);
    for (id, tier) in [("last", u32::MAX), ("first", 7), ("middle", 100)] {
        bench.put(Instance::new(id).with_priority(tier));
    }
    for id in ["first", "middle", "last"] {
        assert_close(parts(&bench, 100, [id]), [1.0]);
        bench.rest(id);
        bench.advance(A_WHILE);
    }
}

#[test]
fn a_call_goes_on_to_the_other_tiers_the_first_of_them_first() {
    let bench = bench(priority(), &[(2, 2), (2, 2), (2, 2)]);
    let mut tried: Vec<String> = Vec::new();
    while let Some(id) = bench.serve_without(&bench.exclusions(&tried)) {
        tried.push(id.to_string());
    }
    let tiers: Vec<_> = tried.iter().map(|id| &id[..2]).collect();
    assert_eq!(tiers, ["0-", "0-", "1-", "1-", "2-", "2-"]);
}

#[test]
fn what_was_counted_is_used_for_a_while_and_not_longer() {
    let bench = bench(priority(), &[(4, 4), (4, 4)]);
    assert_close(parts(&bench, 100, ["0-", "1-"]), [1.0, 0.0]);
    for id in ["0-0", "0-1"] {
        bench.rest(id);
    }
    assert_close(parts(&bench, 100, ["0-", "1-"]), [1.0, 0.0]);
    bench.advance(A_WHILE);
    assert_close(parts(&bench, REQUESTS, ["0-", "1-"]), [0.7, 0.3]);
    // Whatever was counted, who is eligible is found.
    for id in ["0-2", "0-3"] {
        bench.rest(id);
    }
    assert_close(parts(&bench, 100, ["0-", "1-"]), [0.0, 1.0]);
}

#[test]
fn a_change_of_the_set_counts_at_once() {
    let bench = bench(priority(), &[(4, 4), (4, 4)]);
    bench.serve();
    for id in ["0-0", "0-1"] {
        bench.rest(id);
    }
    bench.put(Instance::new("1-4").with_priority(1));
    assert_close(parts(&bench, REQUESTS, ["0-", "1-"]), [0.7, 0.3]);
    // Those that drain are no part of the tier any more.
    for id in ["0-0", "0-1"] {
        bench.lay_over(id, Override::drain());
    }
    assert_close(parts(&bench, 100, ["0-", "1-"]), [1.0, 0.0]);
}

#[test]
fn suspects_are_not_healthy() {
    let bench = bench(priority(), &[(4, 4), (4, 4)]);
    for id in ["0-0", "0-1"] {
        bench.set_state(id, InstanceState::Suspect);
    }
    assert_close(parts(&bench, REQUESTS, ["0-", "1-"]), [0.7, 0.3]);
}

#[test]
fn the_inner_pickers_carry_on_over_changes() {
    let bench = StrategyBench::new(Priority::new(RoundRobin::new().starting_at(0)), 1);
    (0..6).for_each(|i| bench.put(Instance::new(format!("0-{i}"))));
    let mut order = Vec::new();
    for i in 0..6 {
        order.push(bench.serve().unwrap().to_string());
        // From one tier to two, and then to ever larger second ones; in the end back to one.
        bench.put(Instance::new(format!("spare-{i}")).with_priority(1));
        if i == 4 {
            (0..5).for_each(|i| bench.remove(&format!("spare-{i}")));
        }
    }
    assert_eq!(order, ["0-0", "0-1", "0-2", "0-3", "0-4", "0-5"]);
}

#[test]
fn the_picker_of_a_member_s_tier_is_told_of_it() {
    let spy = Spy::default();
    let bench = bench(Priority::new(spy.clone()), &[(2, 4), (2, 4)]);
    spy.told.lock().unwrap().clear();
    assert_told(&spy, &bench);
}

#[test]
fn hooks_are_asked_for_if_the_inner_strategy_has_a_use_for_them() {
    assert_eq!(bench(priority(), &[(1, 1), (1, 1)]).pool().interest(), Interest::NONE);
    let spy = Priority::new(Spy::default());
    assert_eq!(bench(spy, &[(1, 1), (1, 1)]).pool().interest(), Interest::ALL);
}

#[test]
fn the_outcome_of_a_member_whose_tier_is_gone_is_told() {
    let spy = Spy::default();
    let bench = bench(Priority::new(spy.clone()), &[(1, 1), (1, 1), (1, 1)]);
    let member = bench.pick(&bench.exclusions(["0-0", "2-0"])).unwrap();
    bench.remove("1-0");
    bench.pool().record(&member, &Outcome::success(A_WHILE), bench.now());
    assert_eq!(spy.told.lock().unwrap().get("elsewhere: outcome 1-0"), Some(&1));
}
