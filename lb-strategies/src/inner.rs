//! The strategy inside of another, as configuration names it.

use std::sync::Arc;

use lb_core::StrategySpec;
use lb_core::strategy::{RoundRobin, Strategy, StrategyError, StrategyFactory};

/// The strategy at `params.inner`; round robin if there is none.
pub(crate) fn build_inner<I: 'static>(
    spec: Option<StrategySpec>,
    factory: &dyn StrategyFactory<I>,
) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
    let spec = spec.unwrap_or_else(|| StrategySpec::new(RoundRobin::NAME));
    factory.build(&spec).map_err(|error| error.within("params.inner"))
}
