//! What moves when the set changes.

use std::sync::Arc;

use lb_core::Instance;
use lb_core::registry::Override;
use lb_core::testing::StrategyBench;
use lb_strategies::{Jump, Ketama, Maglev, Rendezvous, RingHash};

use super::{AnyStrategy, all, counts, even_ring, keys, owners};

/// Which part of keys goes elsewhere after a change, and which part of those need not have.
fn moved(
    bench: &StrategyBench,
    keys: &[u64],
    change: impl FnOnce(&StrategyBench),
) -> (f64, Vec<(String, String)>) {
    let before = owners(bench, keys);
    change(bench);
    let pairs = before.into_iter().zip(owners(bench, keys));
    let moves: Vec<_> = pairs.filter(|(before, after)| before != after).collect();
    (moves.len() as f64 / keys.len() as f64, moves)
}

#[test]
fn when_one_leaves_few_keys_move_but_its_own() {
    let keys = keys(10_000);
    for (strategy, _) in all() {
        for n in [2, 3, 10, 20, 100] {
            let bench = StrategyBench::new(Arc::clone(&strategy), 1).with_equal_members(n);
            // Of those that have numbers, the last one.
            let leaves = StrategyBench::id(if strategy.name() == Jump::NAME { n - 1 } else { n / 2 });
            let (part, moves) = moved(&bench, &keys, |bench| bench.remove(&leaves));
            assert!(part <= 1.0 / n as f64 + 0.05, "{}: {part} of the keys moved, of {n}", strategy.name());
            // And they are spread over all others.
            let own = moves.iter().filter(|(from, _)| *from == leaves).map(|(_, to)| to.clone());
            let heirs = counts(&own.collect::<Vec<_>>()).len();
            assert!(heirs == n - 1 || n > 20 && heirs > n / 3, "{}: {heirs} heirs of {n}", strategy.name());
            let (back, _) = moved(&bench, &keys, |bench| bench.put(Instance::new(&leaves)));
            assert!((back - part).abs() < f64::EPSILON, "what moved comes back: {back}, {part}");
        }
    }
}

/// All strategies as they are by default, from three members to a thousand: at most 1/N and 5 % of the keys move when one
/// leaves (of those that have numbers, the last one).
#[test]
fn by_default_at_most_one_nth_and_five_per_cent_move() {
    for n in [3, 10, 100, 1000] {
        let keys = keys(if n == 1000 { 1_000 } else { 4_000 });
        let defaults: [AnyStrategy; 5] = [
            Arc::new(RingHash::new()),
            Arc::new(Ketama::new()),
            Arc::new(Maglev::new()),
            Arc::new(Rendezvous::new()),
            Arc::new(Jump::new()),
        ];
        for strategy in defaults {
            let bench = StrategyBench::new(Arc::clone(&strategy), 1).with_equal_members(n);
            let leaves = StrategyBench::id(if strategy.name() == Jump::NAME { n - 1 } else { n / 2 });
            let (part, _) = moved(&bench, &keys, |bench| bench.remove(&leaves));
            println!("{} of {n}: {:.2} %, 1/N is {:.2} %", strategy.name(), 100.0 * part, 100.0 / n as f64);
            assert!(part <= 1.0 / n as f64 + 0.05, "{}: {part} of the keys moved, of {n}", strategy.name());
        }
    }
}

#[test]
fn those_that_promise_it_move_nothing_else() {
    let keys = keys(10_000);
    let strict: Vec<AnyStrategy> = vec![
        Arc::new(RingHash::new()),
        Arc::new(even_ring()),
        Arc::new(Rendezvous::new()),
        Arc::new(Jump::new()),
    ];
    for strategy in strict {
        let bench = StrategyBench::new(Arc::clone(&strategy), 1).with_equal_members(10);
        let (_, moves) = moved(&bench, &keys, |bench| bench.remove("m009"));
        assert!(moves.iter().all(|(from, _)| from == "m009"), "{}", strategy.name());
    }
    let bench = StrategyBench::new(Rendezvous::new(), 1).with_equal_members(10);
    let (_, moves) = moved(&bench, &keys, |bench| bench.lay_over("m003", Override::weight(3)));
    assert!(moves.iter().all(|(_, to)| to == "m003"));
}

/// As the documentation says: the ring as gRPC and Envoy size it is filled up; numbers close up.
#[test]
fn what_else_moves_is_as_documented() {
    let keys = keys(10_000);
    let bench = StrategyBench::new(RingHash::new().min_ring_size(1024), 1).with_equal_members(10);
    let (part, _) = moved(&bench, &keys, |bench| bench.remove("m004"));
    assert!((0.15..0.25).contains(&part), "about 2/N, {part}");
    let bench = StrategyBench::new(Jump::new(), 1).with_equal_members(10);
    let (part, _) = moved(&bench, &keys, |bench| bench.remove("m004"));
    assert!((0.4..0.7).contains(&part), "about half, {part}");
    let bench = StrategyBench::new(Jump::new(), 1).with_equal_members(10);
    let (part, _) = moved(&bench, &keys, |bench| bench.rest("m004"));
    assert!((0.08..0.12).contains(&part), "who rests keeps its number, {part}");
}

#[test]
fn who_is_away_loses_its_keys_evenly_and_nobody_else_does() {
    let keys = keys(20_000);
    for (strategy, _) in all() {
        let bench = StrategyBench::new(Arc::clone(&strategy), 1).with_equal_members(10);
        let (part, moves) = moved(&bench, &keys, |bench| bench.rest("m004"));
        assert!((0.06..0.14).contains(&part), "{part}");
        let heirs: Vec<_> = moves.iter().map(|(_, to)| to.clone()).collect();
        let heirs = counts(&heirs);
        assert!(moves.iter().all(|(from, _)| from == "m004"), "{}: {heirs:?}", strategy.name());
        let fair = moves.len() as f64 / 9.0;
        // By chance, and for rings by the lengths of arcs.
        assert!(heirs.len() == 9 && heirs.values().all(|n| (*n as f64) < 2.0 * fair), "{heirs:?}");
    }
}
