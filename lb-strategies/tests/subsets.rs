//! Who is used by whom under [`Subset`] and [`Aperture`].

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lb_core::Instance;
use lb_core::strategy::{Exclusions, Interest, MemberSet, Strategy};
use lb_core::testing::{StrategyBench, StrategyContract, strategy_contract};
use lb_strategies::{Aperture, ClientIndex, Random, RoundRobin, Subset};

use common::{Spy, assert_told};

fn client(index: u32, count: u32) -> ClientIndex {
    ClientIndex::new(index, count).unwrap()
}

fn numbered(index: u32, count: u32) -> Subset<RoundRobin> {
    Subset::of_number(client(index, count), RoundRobin::new())
}

/// What one client sends to whom.
fn shares(bench: &StrategyBench, n: u64) -> BTreeMap<Arc<str>, u64> {
    bench.shares(n, &Exclusions::new())
}

fn used(bench: &StrategyBench, size: usize) -> BTreeSet<Arc<str>> {
    shares(bench, 4 * size as u64).into_keys().collect()
}

#[test]
fn with_few_members_they_keep_the_contract_of_the_inner_strategy() {
    strategy_contract(|| numbered(3, 7).size(1000));
    strategy_contract(|| Aperture::new(client(3, 7), RoundRobin::new()).min(1000));
}

#[test]
fn with_many_they_keep_it_but_for_even_shares() {
    let contract = StrategyContract::new().even(false);
    for size in [1, 2, 7] {
        contract.check(|| numbered(3, 7).size(size));
        contract.check(|| Subset::of_name("me", Random::new()).size(size));
        contract.check(|| Aperture::new(client(3, 7), RoundRobin::new()).min(size));
        contract.check(|| Aperture::new(client(1, 1000), Random::new()).min(size));
    }
}

#[test]
fn a_subset_has_the_size_that_it_should_have_and_is_shared_evenly() {
    for strategy in [numbered(3, 7), Subset::of_name("me", RoundRobin::new())] {
        let bench = StrategyBench::new(strategy.size(20), 1).with_equal_members(200);
        let shares = shares(&bench, 2_000);
        assert_eq!(shares.len(), 20);
        assert!(shares.values().all(|count| *count == 100), "{shares:?}");
    }
}

#[test]
fn numbered_clients_load_every_member_alike_to_within_one() {
    for (members, clients, size) in [(100, 30, 10), (97, 40, 13), (50, 7, 20), (10, 3, 7)] {
        let mut counts = BTreeMap::<Arc<str>, u32>::new();
        for index in 0..clients {
            let bench =
                StrategyBench::new(numbered(index, clients).size(size), 1).with_equal_members(members);
            used(&bench, size).into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
        }
        let (least, most) =
            (clients * size as u32 / members as u32, (clients * size as u32).div_ceil(members as u32));
        assert!(counts.values().all(|n| (least..=most).contains(n)), "{counts:?}");
        assert!(least == 0 || counts.len() == members);
    }
}

#[test]
fn a_change_moves_little() {
    for index in 0..20 {
        let strategies: [Subset<RoundRobin>; 2] =
            [numbered(index, 20), Subset::of_name(&format!("client-{index}"), RoundRobin::new())];
        for (strategy, most) in strategies.into_iter().zip([2, 1]) {
            let bench = StrategyBench::new(strategy.size(10), 1).with_equal_members(100);
            let mut before = used(&bench, 10);
            for i in 0..20 {
                if i % 2 == 0 {
                    bench.remove(&StrategyBench::id(i * 3));
                } else {
                    bench.put(Instance::new(format!("new-{i}")));
                }
                let after = used(&bench, 10);
                assert_eq!(after.len(), 10);
                assert!(after.difference(&before).count() <= most, "{before:?} {after:?}");
                before = after;
            }
        }
    }
}

#[test]
fn if_nobody_of_a_subset_is_left_a_few_others_stand_in_evenly() {
    let strategies: [Arc<dyn Strategy<Instance>>; 3] = [
        Arc::new(numbered(1, 4).size(10)),
        Arc::new(Subset::of_name("me", RoundRobin::new()).size(10)),
        Arc::new(Aperture::new(client(1, 10), RoundRobin::new()).min(10)),
    ];
    for strategy in strategies {
        let bench = StrategyBench::new(strategy, 1).with_equal_members(100);
        let own = used(&bench, 20);
        assert_eq!(own.len(), 10);
        own.iter().for_each(|id| bench.rest(id));
        let spare = shares(&bench, 2_000);
        assert_eq!(spare.len(), 10);
        assert!(spare.values().all(|count| (130..270).contains(count)), "{spare:?}");
        spare.keys().for_each(|id| bench.rest(id));
        assert!(shares(&bench, 2_000).len() == 80, "then anybody");
    }
}

/// All clients together give every member what is due to its weight.
#[test]
fn apertures_load_every_member_exactly_alike() {
    for (weights, clients, min) in
        [(vec![1_u32; 10], 7, 3), (vec![1; 40], 9, 5), (vec![1, 2, 3, 1, 2, 3, 1], 5, 2), (vec![1; 5], 12, 1)]
    {
        let (requests, mut counts) = (20_000, BTreeMap::<Arc<str>, u64>::new());
        for index in 0..clients {
            let strategy = Aperture::new(client(index, clients), RoundRobin::new()).min(min);
            let bench = StrategyBench::new(strategy, u64::from(index)).with_weights(weights.iter().copied());
            shares(&bench, requests)
                .into_iter()
                .for_each(|(id, count)| *counts.entry(id).or_default() += count);
        }
        let total = weights.iter().sum::<u32>();
        for (i, weight) in weights.iter().enumerate() {
            let due = (requests * u64::from(clients)) as f64 * f64::from(*weight) / f64::from(total);
            let count = counts[&*StrategyBench::id(i)] as f64;
            assert!((count - due).abs() < 5.0 * due.sqrt(), "{count} instead of {due:.0}: {counts:?}");
        }
    }
}

#[test]
fn an_aperture_is_no_wider_than_it_needs_to_be() {
    for index in 0..10 {
        let strategy = Aperture::new(client(index, 10), RoundRobin::new());
        let bench = StrategyBench::new(strategy, 1).with_equal_members(100);
        // ⌈12 · 10 / 100⌉ = 2 tenths of the ring.
        assert_eq!(shares(&bench, 2_000).len(), 20);
    }
}

#[test]
fn the_inner_picker_is_told_of_everybody() {
    let subset = Spy::default();
    assert_told(
        &subset,
        &StrategyBench::new(Subset::of_name("me", subset.clone()).size(5), 1).with_equal_members(30),
    );
    let aperture = Spy::default();
    let strategy = Aperture::new(client(1, 7), aperture.clone()).min(5);
    assert_told(&aperture, &StrategyBench::new(strategy, 1).with_equal_members(30));
    for interest in [Interest::NONE, Interest::ALL] {
        let inner: Arc<dyn Strategy<Instance>> =
            if interest == Interest::ALL { Arc::new(Spy::default()) } else { Arc::new(Random::new()) };
        let bench = StrategyBench::new(Subset::of_name("me", inner).size(5), 1).with_equal_members(30);
        assert_eq!(bench.pool().interest(), interest);
    }
}

#[test]
fn the_inner_picker_carries_on_over_changes_outside() {
    let bench = StrategyBench::new(Subset::of_name("me", RoundRobin::new().starting_at(0)).size(5), 1);
    let bench = bench.with_equal_members(30);
    let own = used(&bench, 5);
    let outside = (0..30).map(StrategyBench::id).find(|id| !own.contains(&**id)).unwrap();
    let order: Vec<_> = (0..5)
        .map(|i| {
            bench.put(Instance::new(&outside).with_metadata("i", i.to_string()));
            bench.serve().unwrap()
        })
        .collect();
    assert_eq!(BTreeSet::from_iter(order), own);
}

/// For 1,000 clients of 10,000 members what a client knows is a subset, and a set of that size is taken over soon.
#[test]
fn large_fleets_are_shared_out() {
    let bench = StrategyBench::new(Random::new(), 1).with_equal_members(2_000);
    let set: MemberSet<Instance> = bench.set();
    let mut counts = vec![0_u32; set.len()];
    for index in (0..1_000).step_by(10) {
        let picker = numbered(index / 10, 100).size(100).picker(&set, None);
        let tried = Exclusions::new();
        let now = bench.now();
        for _ in 0..100 {
            let request = lb_core::strategy::PickRequest::new(&tried);
            let candidates = lb_core::strategy::Candidates::new(&set, request, &now, bench.random());
            counts[picker.pick(&candidates).unwrap().index()] += 1;
        }
    }
    // Each client gives each of its members one request: 100 · 100 requests among 2,000.
    assert!(counts.iter().all(|count| *count == 5), "{counts:?}");
}
