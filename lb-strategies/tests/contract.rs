//! Every strategy of this crate keeps the contract of strategies, in all its variants.

use std::sync::Arc;
use std::time::Duration;

use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
use lb_core::testing::{StrategyContract, strategy_contract};
use lb_core::{CheckFailed, Instance, StrategySpec};
use lb_strategies::{
    Auto, BuiltInStrategies, LeastRequest, LeastUsed, Ordered, PeakEwma, Prequal, ProbeReport, ProbeTarget,
    Random, SmoothWeighted, StaticStride,
};

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

#[test]
fn smooth_weighted() {
    strategy_contract(SmoothWeighted::new);
}

#[test]
fn static_stride() {
    strategy_contract(StaticStride::new);
}

#[test]
fn least_request() {
    strategy_contract(LeastRequest::new);
}

#[test]
fn least_request_by_choices() {
    strategy_contract(|| LeastRequest::new().scan_up_to(0).bias(2.0));
}

#[test]
fn peak_ewma() {
    strategy_contract(PeakEwma::new);
}

#[test]
fn peak_ewma_by_choices() {
    strategy_contract(|| PeakEwma::new().scan_up_to(0));
}

#[test]
fn auto() {
    strategy_contract(Auto::new);
}

#[test]
fn auto_by_choices() {
    strategy_contract(|| Auto::new().scan_up_to(0));
}

#[test]
fn auto_by_many_choices() {
    strategy_contract(|| Auto::new().scan_up_to(64).choices(5).tolerance(0.0));
}

#[test]
fn prequal() {
    strategy_contract(Prequal::new);
}

#[test]
fn prequal_by_choices() {
    strategy_contract(|| Prequal::new().scan_up_to(0));
}

/// Nobody runs the probes here, so it is the form without. What holds with answers, too, is tested where they can be given.
#[test]
fn prequal_with_a_probe() {
    strategy_contract(|| {
        Prequal::new().with_probe(|_: ProbeTarget<Instance>| async {
            Ok::<_, CheckFailed>(ProbeReport::new(0, Duration::ZERO))
        })
    });
}

#[test]
fn ordered() {
    StrategyContract::new().even(false).check(Ordered::new);
    StrategyContract::new().even(false).check(|| Ordered::new().first(["m003", "m001", "nobody"]));
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
