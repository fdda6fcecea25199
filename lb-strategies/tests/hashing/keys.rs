//! Where keys go.

use std::sync::Arc;

use lb_core::Instance;
use lb_core::strategy::Exclusions;
use lb_core::testing::StrategyBench;
use lb_strategies::{Jump, Ketama, Maglev, Rendezvous, RingHash};

use super::{AnyStrategy, acquire, all, counts, keys, owners};

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
        ["gone-1", "10.0.0.9:8080", "gone-2"].iter().for_each(|id| put(&other, &(*id).to_owned()));
        ids.iter().rev().for_each(|id| put(&other, id));
        ["gone-2", "gone-1"].iter().for_each(|id| other.remove(id));
        let keys = keys(300);
        let owners = owners(&one, &keys);
        assert_eq!(owners, super::owners(&other, &keys), "{}", one.strategy().name());
        assert_eq!(owners, super::owners(&one, &keys));
        assert!(counts(&owners).len() > 15);
    }
}

/// The values are those of the first version: a change of any of them moves keys in every fleet that is updated.
#[test]
fn where_keys_go_never_changes() {
    let default: Vec<AnyStrategy> = vec![
        Arc::new(RingHash::new()),
        Arc::new(Ketama::new()),
        Arc::new(Maglev::new()),
        Arc::new(Rendezvous::new()),
        Arc::new(Jump::new()),
    ];
    let lines = include_str!("../reference/placement.txt").lines().filter(|line| !line.starts_with('#'));
    for (strategy, line) in default.into_iter().zip(lines) {
        let name = strategy.name().to_owned();
        let bench = StrategyBench::new(strategy, 1).with_weights([1, 2, 3, 1, 2, 3, 4]);
        let owners = owners(&bench, &keys(60));
        let numbers: Vec<_> = owners.iter().map(|id| &id[3..]).collect();
        assert_eq!(format!("{name} {}", numbers.concat()), line);
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
