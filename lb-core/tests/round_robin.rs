//! What round robin promises beyond the contract of strategies: the order.
#![cfg(feature = "testing")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use lb_core::Instance;
use lb_core::registry::Override;
use lb_core::strategy::{Exclusions, RoundRobin, Strategy};
use lb_core::testing::StrategyBench;

fn from_the_first() -> StrategyBench {
    StrategyBench::new(RoundRobin::new().starting_at(0), 1)
}

/// Who serves the next `n` requests, by the last digit of the id.
fn order(bench: &StrategyBench, n: usize) -> String {
    (0..n).filter_map(|_| bench.serve()?.chars().last()).collect()
}

#[test]
fn equal_members_come_strictly_in_order() {
    let bench = from_the_first().with_equal_members(4);
    assert_eq!(order(&bench, 10), "0123012301");
    let bench = StrategyBench::new(RoundRobin::new().starting_at(6), 1).with_equal_members(4);
    assert_eq!(order(&bench, 3), "230");
}

#[test]
fn threads_share_one_order() {
    const EACH: u64 = 5_000;
    for (threads, members) in [(2, 3), (4, 7), (8, 2)] {
        let bench = StrategyBench::new(RoundRobin::new(), 1).with_equal_members(members);
        let picks = members as u64 * EACH / threads;
        assert_eq!(picks * threads, members as u64 * EACH);
        let mut counts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        thread::scope(|scope| {
            let work = || bench.shares(picks, &Exclusions::new());
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for (id, count) in workers.into_iter().flat_map(|worker| worker.join().unwrap()) {
                *counts.entry(id).or_default() += count;
            }
        });
        assert!(
            counts.values().all(|count| *count == EACH),
            "a turn was given twice, or to nobody: {counts:?}"
        );
    }
}

#[test]
fn who_is_left_out_loses_its_turn_and_nobody_gets_two() {
    let bench = from_the_first().with_equal_members(4);
    bench.rest("m001");
    assert_eq!(order(&bench, 9), "023023023");
    let tried = bench.exclusions(["m002"]);
    let served: Vec<_> = (0..4).filter_map(|_| bench.serve_without(&tried)).collect();
    assert_eq!(served, ["m000", "m003", "m000", "m003"].map(Arc::from));
}

#[test]
fn weights_are_exact_in_every_cycle() {
    for (weights, picks) in [(&[1, 2, 3][..], 6), (&[3, 0, 1], 4), (&[5, 1, 1], 7), (&[4, 3, 2], 9)] {
        for seed in 0..20 {
            let bench = StrategyBench::new(RoundRobin::new(), seed).with_weights(weights.iter().copied());
            for _ in 0..3 {
                let counts = bench.shares(picks, &Exclusions::new());
                for (i, weight) in weights.iter().enumerate() {
                    let count = counts.get(StrategyBench::id(i).as_str()).copied().unwrap_or(0);
                    assert_eq!(count, u64::from(*weight), "of {weights:?} from seed {seed}");
                }
            }
        }
    }
}

#[test]
fn weights_come_without_bursts() {
    let bench = from_the_first().with_weights([5, 1, 1]);
    let order = order(&bench, 70);
    assert!(!order.contains("0000"), "{order}");
    assert!(!order.contains("12") && !order.contains("21"), "{order}");
}

#[test]
fn an_update_keeps_the_position() {
    let bench = from_the_first().with_equal_members(4);
    assert_eq!(order(&bench, 6), "012301");
    bench.put(Instance::new("m000").with_metadata("version", "2"));
    bench.put(Instance::new("m003").with_metadata("version", "2"));
    assert_eq!(order(&bench, 3), "230");
    bench.put(Instance::new("m004"));
    assert_eq!(order(&bench, 5), "12340");
    bench.remove("m004");
    assert_eq!(order(&bench, 5), "12301");
}

#[test]
fn an_update_keeps_the_position_between_weights() {
    let (updated, steady) = (from_the_first(), from_the_first());
    let (updated, steady) = (updated.with_weights([5, 3, 2]), steady.with_weights([5, 3, 2]));
    for i in 0..100 {
        if i % 7 == 0 {
            updated.put(Instance::new("m001").with_weight(3).with_metadata("i", i.to_string()));
        }
        assert_eq!(updated.serve(), steady.serve());
    }
}

#[test]
fn weights_that_become_equal_are_in_order() {
    let bench = from_the_first().with_weights([1, 9, 1]);
    order(&bench, 11);
    bench.lay_over("m001", Override::weight(1));
    let order = order(&bench, 6);
    assert!("012012012".contains(&order), "{order}");
}

#[test]
fn the_start_is_drawn_from_the_seed() {
    let first = |seed| StrategyBench::new(RoundRobin::new(), seed).with_equal_members(100).serve();
    assert_eq!(first(7), first(7));
    assert!((0..10).any(|seed| first(seed) != first(7)));
}

#[test]
fn the_position_is_drawn_anew_when_the_set_has_doubled() {
    // Clients that had one or two members in common would go on in step.
    let after = |seed| {
        let bench = StrategyBench::new(RoundRobin::new(), seed).with_equal_members(2);
        bench.serve();
        (2..8).for_each(|i| bench.put(Instance::new(StrategyBench::id(i))));
        bench.serve()
    };
    let seen: std::collections::BTreeSet<_> = (0..100).map(after).collect();
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn parameters_are_checked() {
    let ok = serde_json::json!({ "ignore_weights": true, "start": 3 });
    assert_eq!(Strategy::<Instance>::name(&RoundRobin::from_params(&ok).unwrap()), "round_robin");
    assert!(RoundRobin::from_params(&serde_json::Value::Null).is_ok());
    for bad in [serde_json::json!({ "ignore_weight": true }), serde_json::json!({ "start": -1 })] {
        let error = RoundRobin::from_params(&bad).unwrap_err().to_string();
        assert!(error.starts_with("strategy `round_robin` does not take these params: "), "{error}");
    }
}
