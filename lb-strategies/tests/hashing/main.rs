//! What strategies that hash promise beyond the contract.

mod bounded;
mod changes;
mod keys;
mod slow_start;

use std::collections::BTreeMap;
use std::sync::Arc;

use lb_core::member::Lease;
use lb_core::strategy::{Exclusions, PickRequest, Strategy};
use lb_core::testing::{StrategyBench, StrategyContract, strategy_contract};
use lb_core::{Instance, RandomSource, SeededRandom};
use lb_strategies::{Jump, Ketama, Maglev, Rendezvous, RingHash};

pub(crate) type AnyStrategy = Arc<dyn Strategy<Instance>>;

/// A ring on which shares differ by some 5 %.
pub(crate) fn even_ring() -> RingHash {
    RingHash::new().points_per_member(400)
}

fn small_maglev() -> Maglev {
    Maglev::new().table_size(5_003).unwrap()
}

/// All of them, with the most by which a share of keys is off, in parts of itself (three standard deviations).
pub(crate) fn all() -> Vec<(AnyStrategy, f64)> {
    vec![
        (Arc::new(even_ring()), 0.18),
        (Arc::new(Ketama::new()), 0.28),
        (Arc::new(Maglev::new()), 0.03),
        (Arc::new(Rendezvous::new()), 0.03),
        (Arc::new(Jump::new()), 0.03),
    ]
}

/// The same with bounded loads.
pub(crate) fn bounded(factor: f64) -> Vec<AnyStrategy> {
    vec![
        Arc::new(even_ring().load_factor(factor)),
        Arc::new(Ketama::new().load_factor(factor)),
        Arc::new(small_maglev().load_factor(factor)),
        Arc::new(Rendezvous::new().load_factor(factor)),
        Arc::new(Jump::new().load_factor(factor)),
    ]
}

pub(crate) fn acquire(
    bench: &StrategyBench,
    hash_key: Option<u64>,
    tried: &Exclusions,
) -> Option<Lease<Instance>> {
    let request = PickRequest { hash_key, ..PickRequest::new(tried) };
    bench.pool().acquire(request, &bench.now(), bench.random()).ok()
}

pub(crate) fn owner(bench: &StrategyBench, key: u64) -> String {
    acquire(bench, Some(key), &Exclusions::NONE).expect("somebody is there").member().id().to_string()
}

pub(crate) fn keys(n: usize) -> Vec<u64> {
    let random = SeededRandom::new(42);
    (0..n).map(|_| random.next_u64()).collect()
}

pub(crate) fn owners(bench: &StrategyBench, keys: &[u64]) -> Vec<String> {
    keys.iter().map(|key| owner(bench, *key)).collect()
}

pub(crate) fn counts(owners: &[String]) -> BTreeMap<&str, usize> {
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
    // What they have in common, with tables of both kinds.
    for i in [0, 2] {
        StrategyContract::new().even(false).check(|| bounded(1.25).swap_remove(i));
    }
}
