//! What strategies that hash promise beyond the contract: where keys go, and what moves when the set changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lb_core::decide::{Lease, RandomSource, SeededRandom};
use lb_core::registry::Override;
use lb_core::strategy::{Exclusions, PickRequest, Strategy};
use lb_core::testing::{StrategyBench, StrategyContract, strategy_contract};
use lb_core::{Instance, ServiceConfig, SlowStart};
use lb_strategies::{Jump, Ketama, Maglev, Rendezvous, RingHash};
use proptest::prelude::*;

type AnyStrategy = Arc<dyn Strategy<Instance>>;

/// A ring on which shares differ by some 5 %.
fn even_ring() -> RingHash {
    RingHash::new().points_per_member(400)
}

fn small_maglev() -> Maglev {
    Maglev::new().table_size(5_003).unwrap()
}

/// All of them, with the most by which a share of keys is off, in parts of itself (three standard deviations).
fn all() -> Vec<(AnyStrategy, f64)> {
    vec![
        (Arc::new(even_ring()), 0.18),
        (Arc::new(Ketama::new()), 0.28),
        (Arc::new(Maglev::new()), 0.03),
        (Arc::new(Rendezvous::new()), 0.03),
        (Arc::new(Jump::new()), 0.03),
    ]
}

/// The same with bounded loads.
fn bounded(factor: f64) -> Vec<AnyStrategy> {
    vec![
        Arc::new(even_ring().load_factor(factor)),
        Arc::new(Ketama::new().load_factor(factor)),
        Arc::new(small_maglev().load_factor(factor)),
        Arc::new(Rendezvous::new().load_factor(factor)),
        Arc::new(Jump::new().load_factor(factor)),
    ]
}

fn acquire(bench: &StrategyBench, hash_key: Option<u64>, tried: &Exclusions) -> Option<Lease<Instance>> {
    let request = PickRequest { hash_key, ..PickRequest::new(tried) };
    bench.pool().acquire(request, &bench.now(), bench.random()).ok()
}

fn owner(bench: &StrategyBench, key: u64) -> String {
    acquire(bench, Some(key), &Exclusions::NONE).expect("somebody is there").member().id().to_string()
}

fn keys(n: usize) -> Vec<u64> {
    let random = SeededRandom::new(42);
    (0..n).map(|_| random.next_u64()).collect()
}

fn owners(bench: &StrategyBench, keys: &[u64]) -> Vec<String> {
    keys.iter().map(|key| owner(bench, *key)).collect()
}

fn counts(owners: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    owners.iter().for_each(|id| *counts.entry(&**id).or_default() += 1);
    counts
}

#[test]
fn those_that_are_even_keep_the_whole_contract() {
    strategy_contract(Rendezvous::new);
    strategy_contract(Jump::new);
}

#[test]
fn maglev_keeps_the_whole_contract() {
    // Large enough that one place more or less does not matter, small enough for many changes.
    strategy_contract(|| Maglev::new().table_size(20_011).unwrap());
}

#[test]
fn rings_keep_the_contract_but_for_even_shares() {
    let contract = StrategyContract::new().even(false);
    contract.check(RingHash::new);
    contract.check(|| RingHash::new().max_ring_size(3));
    contract.check(Ketama::new);
}

#[test]
fn bounded_ones_keep_the_contract_but_for_even_shares() {
    for i in 0..5 {
        StrategyContract::new().even(false).check(|| bounded(1.25).swap_remove(i));
    }
}

#[test]
fn a_key_stays_and_another_instance_of_the_same_strategy_agrees() {
    for (strategy, _) in all() {
        let ids: Vec<_> = (0..20).map(|i| format!("10.0.0.{i}:8080")).collect();
        let put = |bench: &StrategyBench, id: &String| {
            bench.put(Instance::new(id).with_weight(1 + id.len() as u32 % 3));
        };
        let (one, other) = (StrategyBench::new(Arc::clone(&strategy), 1), StrategyBench::new(strategy, 99));
        ids.iter().for_each(|id| put(&one, id));
        // In another order, and with a past.
        ["gone-1", "10.0.0.9:8080", "gone-2"].map(|id| put(&other, &id.to_owned()));
        ids.iter().rev().for_each(|id| put(&other, id));
        ["gone-2", "gone-1"].map(|id| other.remove(id));
        let keys = keys(300);
        let owners = owners(&one, &keys);
        assert_eq!(owners, self::owners(&other, &keys), "{}", one.strategy().name());
        assert_eq!(owners, self::owners(&one, &keys));
        assert!(counts(&owners).len() > 15);
    }
}

/// The values are those of the first version: a change of any of them moves keys in every fleet that is updated.
#[test]
fn where_keys_go_never_changes() {
    let expected = [
        ("ring_hash", include_str!("reference/placement-ring_hash.txt")),
        ("ketama", include_str!("reference/placement-ketama.txt")),
        ("maglev", include_str!("reference/placement-maglev.txt")),
        ("rendezvous", include_str!("reference/placement-rendezvous.txt")),
        ("jump", include_str!("reference/placement-jump.txt")),
    ];
    let default: Vec<AnyStrategy> = vec![
        Arc::new(RingHash::new()),
        Arc::new(Ketama::new()),
        Arc::new(Maglev::new()),
        Arc::new(Rendezvous::new()),
        Arc::new(Jump::new()),
    ];
    for (strategy, (name, expected)) in default.into_iter().zip(expected) {
        let bench = StrategyBench::new(strategy, 1).with_weights([1, 2, 3, 1, 2, 3, 4]);
        let owners = owners(&bench, &keys(60));
        let numbers: Vec<_> = owners.iter().map(|id| &id[3..]).collect();
        assert_eq!(numbers.concat(), expected.trim(), "{name}");
    }
}

#[test]
fn shares_follow_weights() {
    let keys = keys(60_000);
    for (strategy, tolerance) in all() {
        for weights in [vec![1; 10], vec![1, 2, 3, 4, 5, 5], vec![3; 50]] {
            let bench = StrategyBench::new(Arc::clone(&strategy), 1).with_weights(weights.iter().copied());
            let owners = owners(&bench, &keys);
            let (counts, total) = (counts(&owners), weights.iter().sum::<u32>());
            for (i, weight) in weights.iter().enumerate() {
                let share = keys.len() as f64 * f64::from(*weight) / f64::from(total);
                let count = counts[&*StrategyBench::id(i)] as f64;
                let bound = tolerance * share + 4.0 * share.sqrt();
                assert!(
                    (count - share).abs() <= bound,
                    "{}: {count} keys instead of {share:.0} ± {bound:.0} for {weight} of {weights:?}",
                    strategy.name()
                );
            }
        }
    }
}

/// Which part of keys goes elsewhere after a change, and which part of those need not have.
fn moved(bench: &StrategyBench, keys: &[u64], change: impl FnOnce(&StrategyBench)) -> (f64, Vec<(String, String)>) {
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
            // And they are spread over the others.
            let own: Vec<_> =
                moves.iter().filter(|(from, _)| *from == leaves).map(|(_, to)| to.clone()).collect();
            assert_eq!(counts(&own).len(), (n - 1).min(counts(&own).len().max((n - 1) * 2 / 3)));
            let (back, _) = moved(&bench, &keys, |bench| bench.put(Instance::new(&leaves)));
            assert!((back - part).abs() < f64::EPSILON, "what moved comes back: {back}, {part}");
        }
    }
}

#[test]
fn those_that_promise_it_move_nothing_else() {
    let keys = keys(10_000);
    let strict: Vec<AnyStrategy> = vec![
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
    let bench = StrategyBench::new(RingHash::new(), 1).with_equal_members(10);
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

#[test]
fn a_retry_goes_to_the_same_other_member() {
    for (strategy, _) in all() {
        let bench = StrategyBench::new(strategy, 1).with_equal_members(5);
        let walk = |key| {
            let mut tried: Vec<String> = Vec::new();
            while let Some(lease) = acquire(&bench, Some(key), &bench.exclusions(&tried)) {
                tried.push(lease.member().id().to_string());
            }
            tried
        };
        let mut seconds = Vec::new();
        for key in keys(200) {
            let order = walk(key);
            assert_eq!((order.len(), &order), (5, &walk(key)));
            if order[0] == "m002" {
                seconds.push(order[1].clone());
            }
        }
        assert_eq!(counts(&seconds).len(), 4, "the keys of one member have different second ones");
    }
}

#[test]
fn requests_without_a_key_are_spread() {
    for (strategy, tolerance) in all() {
        let bench = StrategyBench::new(strategy, 1).with_weights([1, 1, 2]);
        let leases = (0..8_000).filter_map(|_| acquire(&bench, None, &Exclusions::NONE));
        let owners: Vec<_> = leases.map(|lease| lease.member().id().to_string()).collect();
        let counts = counts(&owners);
        for (id, share) in [("m000", 2_000.0), ("m001", 2_000.0), ("m002", 4_000.0)] {
            let off = (counts[id] as f64 - share).abs();
            assert!(off < tolerance * share + 4.0 * f64::sqrt(share), "{counts:?}");
        }
    }
}

/// Of those who are eased in, keys come over one by one, and none goes to and fro.
#[test]
fn a_slow_start_takes_keys_over_one_by_one() {
    let keys = keys(2_000);
    for (strategy, _) in all() {
        let bench = StrategyBench::new(Arc::clone(&strategy), 1);
        let slow = SlowStart::new(Duration::from_secs(10)).expect("valid");
        bench.configure(ServiceConfig::builder().slow_start(slow).build().expect("valid"));
        let bench = bench.with_equal_members(4);
        bench.advance(Duration::from_secs(60));
        let before = owners(&bench, &keys);
        bench.put(Instance::new("new"));
        let mut last = before;
        let mut taken = Vec::new();
        for _ in 0..11 {
            let now = owners(&bench, &keys);
            for (before, after) in last.iter().zip(&now) {
                assert!(before == after || after == "new", "{}: {before} to {after}", strategy.name());
            }
            taken.push(counts(&now).get("new").copied().unwrap_or(0));
            last = now;
            bench.advance(Duration::from_secs(1));
        }
        assert!(taken[0] < 100 && taken[10] > 300, "{}: {taken:?}", strategy.name());
    }
}

/// The most that a member may have, worked out independently.
fn cap(factor: f64, leases: usize, weight: u32, total: u32) -> u64 {
    ((factor * leases as f64 * f64::from(weight) / f64::from(total)) * (1.0 - 1e-12)).ceil() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever comes and goes, and however hot a key is: nobody gets a request that lifts it above its bound.
    #[test]
    fn bounded_loads_are_never_above_the_bound(
        strategy in 0..5_usize,
        factor in prop_oneof![Just(1.0), Just(1.25), 1.0..3.0_f64],
        weights in proptest::collection::vec(1..5_u32, 1..12),
        steps in proptest::collection::vec((any::<bool>(), 0..6_u64, any::<prop::sample::Index>()), 1..300),
    ) {
        let bench = StrategyBench::new(bounded(factor).swap_remove(strategy), 1).with_weights(weights.iter().copied());
        let total = weights.iter().sum();
        let mut leases = Vec::new();
        for (leaves, key, which) in steps {
            if leaves && !leases.is_empty() {
                leases.swap_remove(which.index(leases.len()));
            }
            // Few keys, most of them the same.
            let lease = acquire(&bench, Some(key / 3), &Exclusions::NONE).unwrap();
            let (in_flight, weight) = (lease.member().in_flight(), lease.member().weight());
            leases.push(lease);
            let cap = cap(factor, leases.len(), weight, total);
            prop_assert!(in_flight <= cap, "{} of {} in flight, {} allowed", in_flight, leases.len(), cap);
        }
    }
}

#[test]
fn two_keys_of_a_hot_member_part_ways() {
    for strategy in bounded(1.25) {
        let name = strategy.name().to_owned();
        let bench = StrategyBench::new(strategy, 1).with_equal_members(10);
        let hot: Vec<u64> = keys(2_000).into_iter().filter(|key| owner(&bench, *key) == "m003").take(60).collect();
        // The member is full, and everybody else has room.
        let full: Vec<_> = (0..8).map(|_| acquire(&bench, Some(hot[0]), &Exclusions::NONE)).collect();
        let elsewhere: Vec<_> = hot.iter().map(|key| owner(&bench, *key)).filter(|id| id != "m003").collect();
        assert!(counts(&elsewhere).len() > 3, "{name}: {elsewhere:?}");
        drop(full);
        assert!(hot.iter().all(|key| owner(&bench, *key) == "m003"), "they come back when it has room");
    }
}

#[test]
fn if_nobody_has_room_the_least_loaded_is_taken() {
    for strategy in bounded(1.0) {
        let name = strategy.name().to_owned();
        let bench = StrategyBench::new(strategy, 1).with_equal_members(3);
        let mut leases: Vec<_> = (0..7).filter_map(|_| acquire(&bench, Some(5), &Exclusions::NONE)).collect();
        // One is away with its room; of the two that are left both are above the mean in the end.
        let tried = bench.exclusions([&**leases[0].member().id()]);
        let away = leases[0].member().id().clone();
        for _ in 0..9 {
            let lease = acquire(&bench, Some(5), &tried).unwrap();
            leases.push(lease);
            let loads: Vec<_> = bench.set().iter().filter(|(_, m)| **m.id() != *away).map(|(_, m)| m.in_flight()).collect();
            assert!(loads[0].abs_diff(loads[1]) <= 1, "{name}: {loads:?}");
        }
    }
}

/// Among many members the bound is that of a count which is a little old.
#[test]
fn among_many_members_the_bound_holds_nearly() {
    for strategy in bounded(1.25) {
        let name = strategy.name().to_owned();
        let n = 200;
        let bench = StrategyBench::new(strategy, 1).with_equal_members(n);
        let (random, mut leases, mut most) = (SeededRandom::new(3), Vec::new(), 0.0_f64);
        for i in 0..20_000_usize {
            // A sixth of all requests have one key; the number in flight goes up and down.
            let key = if random.below(6) == 0 { 7 } else { random.next_u64() };
            let lease = acquire(&bench, Some(key), &Exclusions::NONE).unwrap();
            let cap = cap(1.25, leases.len() + 1, 1, n as u32);
            most = most.max(lease.member().in_flight() as f64 / cap as f64);
            leases.push(lease);
            let wanted = 1_000 + (i % 4_000) / 4;
            while leases.len() > wanted {
                leases.swap_remove(random.below(leases.len()));
            }
        }
        assert!((0.95..=1.35).contains(&most), "{name}: {most} of the bound");
    }
}
