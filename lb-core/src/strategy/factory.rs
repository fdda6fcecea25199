//! Strategies by name: what configuration in the registry can ask for.

use std::sync::Arc;

use thiserror::Error;

use super::{RoundRobin, Strategy};
use crate::config::StrategySpec;

/// A strategy that cannot be built from its name and parameters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// There is no strategy of that name.
    #[error("there is no strategy `{name}`; there are: {}", known.join(", "))]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The strategy does not take these parameters.
    #[error("strategy `{name}` does not take these params: {problem}")]
    InvalidParams {
        /// The strategy.
        name: String,
        /// What is wrong, naming the parameter.
        problem: String,
    },
}

/// Builds strategies from their names. The facade crate gives the balancer one that knows all built-in strategies;
/// one of your own can add to it by asking it for the names that it does not know.
pub trait StrategyFactory<I>: Send + Sync + 'static {
    /// The strategy of that name and those parameters.
    fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError>;
}

impl<I, F> StrategyFactory<I> for F
where
    F: Fn(&StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> + Send + Sync + 'static,
{
    fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        self(spec)
    }
}

/// Knows the strategies of this crate: `round_robin`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreStrategies;

impl<I: Send + Sync + 'static> StrategyFactory<I> for CoreStrategies {
    fn build(&self, spec: &StrategySpec) -> Result<Arc<dyn Strategy<I>>, StrategyError> {
        match spec.name.as_str() {
            RoundRobin::NAME => Ok(Arc::new(RoundRobin::from_params(&spec.params)?)),
            _ => {
                Err(StrategyError::Unknown { name: spec.name.clone(), known: vec![RoundRobin::NAME.into()] })
            }
        }
    }
}

impl StrategySpec {
    /// Reads the parameters as `P`; `null` is `P::default()`. For authors of factories. Give `P`
    /// `#[serde(default, deny_unknown_fields)]`, so that a misspelt parameter is an error.
    pub fn parse_params<P: serde::de::DeserializeOwned + Default>(
        name: &str,
        params: &serde_json::Value,
    ) -> Result<P, StrategyError> {
        if params.is_null() {
            return Ok(P::default());
        }
        P::deserialize(params)
            .map_err(|error| StrategyError::InvalidParams { name: name.into(), problem: error.to_string() })
    }
}
