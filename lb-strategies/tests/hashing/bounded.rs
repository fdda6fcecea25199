//! Bounded loads.

use lb_core::strategy::Exclusions;
use lb_core::testing::StrategyBench;
use lb_core::{RandomSource, SeededRandom};
use proptest::prelude::*;

use super::{acquire, bounded, counts, keys, owner};

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
        let hot: Vec<u64> =
            keys(2_000).into_iter().filter(|key| owner(&bench, *key) == "m003").take(60).collect();
        // The member is full, and everybody else has room.
        let full: Vec<_> = (0..9).map(|_| acquire(&bench, Some(hot[0]), &Exclusions::NONE)).collect();
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
            let loads: Vec<_> =
                bench.set().iter().filter(|(_, m)| **m.id() != *away).map(|(_, m)| m.in_flight()).collect();
            assert!(loads[0].abs_diff(loads[1]) <= 1, "{name}: {loads:?}");
        }
    }
}

/// Among many members the bound counts those that have ended during the last ⌈n/24⌉ picks, too, and nothing else.
#[test]
fn among_many_members_the_bound_is_that_of_a_moment_ago() {
    for (n, strategies) in [(200, bounded(1.25)), (40, bounded(1.0))] {
        for strategy in strategies {
            let name = strategy.name().to_owned();
            let factor = if n == 200 { 1.25 } else { 1.0 };
            let bench = StrategyBench::new(strategy, 1).with_equal_members(n);
            let (random, mut leases, mut over, mut full) = (SeededRandom::new(3), Vec::new(), 0, 0);
            // How many have ended, before each pick.
            let mut ended = vec![0];
            for i in 0..6_000_usize {
                // A sixth of all requests have one key; the number in flight goes up and down.
                let key = if random.below(6) == 0 { 7 } else { random.next_u64() };
                let lease = acquire(&bench, Some(key), &Exclusions::NONE).unwrap();
                let in_flight = lease.member().in_flight();
                leases.push(lease);
                let total = ended[i];
                let recent = total - ended[i.saturating_sub(n.div_ceil(24))];
                let bound = cap(factor, leases.len() + recent, 1, n as u32);
                assert!(in_flight <= bound, "{name}, pick {i}: {in_flight} of {bound}, {recent} have ended");
                full += usize::from(in_flight == bound);
                over += usize::from(in_flight > cap(factor, leases.len(), 1, n as u32));
                let wanted = 2_000 - (i % 2_000).abs_diff(1_000);
                let mut now_ended = total;
                while leases.len() > wanted {
                    leases.swap_remove(random.below(leases.len()));
                    now_ended += 1;
                }
                ended.push(now_ended);
            }
            assert!(full > 100, "{name}: the bound was put to the test {full} times");
            assert!(over < 300, "{name}: {over} of 6,000 were above the bound of this very moment");
        }
    }
}
