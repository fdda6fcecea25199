//! Round robin, in all variants, keeps the contract of strategies.
#![cfg(feature = "testing")]

use lb_core::strategy::RoundRobin;
use lb_core::testing::{StrategyContract, strategy_contract};

#[test]
fn round_robin() {
    strategy_contract(RoundRobin::new);
}

#[test]
fn round_robin_ignoring_weights() {
    StrategyContract::new().weighted(false).check(|| RoundRobin::new().ignoring_weights());
}

#[test]
fn round_robin_from_a_fixed_start() {
    let contract = StrategyContract::new().starts_anywhere(false);
    contract.check(|| RoundRobin::new().starting_at(0));
    contract.check(|| RoundRobin::new().starting_at(u32::MAX));
    contract.weighted(false).check(|| RoundRobin::new().starting_at(1).ignoring_weights());
}
