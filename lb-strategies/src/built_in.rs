//! All strategies by name: [`BuiltInStrategies`].

use std::sync::Arc;

use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
use lb_core::{ServiceInstance, StrategySpec};

use crate::{Random, RoundRobin};

/// Knows the strategies of this crate by name, for services whose configuration names one.
///
/// ```
/// use lb_core::strategy::{Strategy, StrategyFactory};
/// use lb_core::{Instance, StrategySpec};
/// use lb_strategies::BuiltInStrategies;
///
/// let spec = StrategySpec::new("random").with_params(serde_json::json!({ "ignore_weights": true }));
/// let strategy: std::sync::Arc<dyn Strategy<Instance>> = BuiltInStrategies.build(&spec)?;
/// assert_eq!(strategy.name(), "random");
/// # Ok::<_, lb_core::strategy::StrategyError>(())
/// ```
///
/// To add one of your own, ask this for the names that yours is not:
///
/// ```
/// # use std::sync::Arc;
/// # use lb_core::strategy::{Strategy, StrategyError, StrategyFactory};
/// # use lb_core::{Instance, StrategySpec};
/// # use lb_strategies::{BuiltInStrategies, Random};
/// # type Mine = Random;
/// fn strategies(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
///     match spec.name.as_str() {
///         "mine" => Ok(Arc::new(Mine::from_params(&spec.params)?)),
///         _ => BuiltInStrategies.build(spec),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInStrategies;

/// Each strategy has a `NAME` and a `from_params(&serde_json::Value) -> Result<Self, StrategyError>`.
macro_rules! built_in {
    ($($strategy:ty,)+) => {
        const NAMES: &[&str] = &[$(<$strategy>::NAME),+];

        impl<I: ServiceInstance> StrategyFactory<I> for BuiltInStrategies {
            fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
                match spec.name.as_str() {
                    $(<$strategy>::NAME => Ok(Arc::new(<$strategy>::from_params(&spec.params)?)),)+
                    _ => Err(unknown(spec)),
                }
            }
        }
    };
}

built_in! {
    RoundRobin,
    Random,
}

impl BuiltInStrategies {
    /// The names that it knows.
    pub const fn names() -> &'static [&'static str] {
        NAMES
    }
}

fn unknown(spec: &StrategySpec) -> StrategyError {
    let known = NAMES.iter().map(|name| (*name).to_owned()).collect();
    StrategyError::Unknown { name: spec.name.clone(), known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use serde_json::json;

    fn build(spec: &StrategySpec) -> Result<Arc<dyn Strategy<Instance>>, StrategyError> {
        BuiltInStrategies.build(spec)
    }

    #[test]
    fn every_name_builds_the_strategy_of_that_name() {
        for name in BuiltInStrategies::names() {
            for params in [json!(null), json!({})] {
                let strategy = build(&StrategySpec::new(*name).with_params(params)).unwrap();
                assert_eq!(strategy.name(), *name);
            }
        }
    }

    #[test]
    fn names_are_distinct() {
        let mut names = NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }

    #[test]
    fn an_unknown_name_lists_those_that_exist() {
        let error = build(&StrategySpec::new("roundrobin")).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("there is no strategy `roundrobin`; there are: {}", NAMES.join(", "))
        );
    }

    #[test]
    fn no_strategy_takes_params_that_it_does_not_know() {
        for name in BuiltInStrategies::names() {
            for params in [json!({ "no_such_param": 1 }), json!([1]), json!("fast")] {
                let error = build(&StrategySpec::new(*name).with_params(params)).err().unwrap();
                assert!(
                    matches!(&error, StrategyError::InvalidParams { name: of, .. } if of == name),
                    "{error}"
                );
            }
        }
    }
}
