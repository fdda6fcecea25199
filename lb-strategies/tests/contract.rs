//! Every strategy of this crate keeps the contract of strategies, in all its variants.

use std::sync::Arc;

use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
use lb_core::testing::{StrategyContract, strategy_contract};
use lb_core::{Instance, StrategySpec};
use lb_strategies::{BuiltInStrategies, LeastUsed, Random};

#[test]
fn random() {
    strategy_contract(Random::new);
}

#[test]
fn least_used() {
    strategy_contract(LeastUsed::new);
}

#[test]
fn random_ignoring_weights() {
    StrategyContract::new().weighted(false).check(|| Random::new().ignoring_weights());
}

/// Whatever is added to the factory keeps at least the rules that know no exception.
#[test]
fn strategies_by_name() -> Result<(), StrategyError> {
    for name in BuiltInStrategies::names() {
        let build = || -> Result<Arc<dyn Strategy<Instance>>, _> {
            BuiltInStrategies.in_zone("here").build(&StrategySpec::new(*name))
        };
        build()?;
        StrategyContract::new().even(false).check(|| build().expect("it was built before"));
    }
    Ok(())
}
