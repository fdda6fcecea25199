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
    /// A strategy that is a parameter of another cannot be built.
    #[error("at {path}: {problem}")]
    Inner {
        /// Where it is in the outermost [`StrategySpec`]: `params.inner`, or `params.inner.params.inner`.
        path: String,
        /// What is wrong with it.
        problem: Box<StrategyError>,
    },
}

impl StrategyError {
    /// The same for a strategy that is the parameter at `path` of another, as seen from that one.
    #[must_use]
    pub fn within(self, path: &str) -> Self {
        match self {
            Self::Inner { path: rest, problem } => Self::Inner { path: format!("{path}.{rest}"), problem },
            problem => Self::Inner { path: path.into(), problem: Box::new(problem) },
        }
    }
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
        let invalid = |problem| StrategyError::InvalidParams { name: name.into(), problem };
        // Of a list serde would take the values as those of the parameters in the order of the code.
        if !params.is_object() {
            return Err(invalid("they are an object, with the parameters by name".into()));
        }
        P::deserialize(params).map_err(|error| invalid(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_have_names() {
        for params in [json!([true]), json!("fast"), json!(1)] {
            let error = RoundRobin::from_params(&params).unwrap_err();
            assert!(error.to_string().contains("object"), "{error}");
        }
    }

    #[test]
    fn a_path_grows_from_the_inside() {
        let unknown = StrategyError::Unknown { name: "x".into(), known: vec!["y".into()] };
        let error = unknown.clone().within("params.inner").within("params.inner");
        let path = "params.inner.params.inner".into();
        assert_eq!(error, StrategyError::Inner { path, problem: Box::new(unknown) });
        assert_eq!(error.to_string(), "at params.inner.params.inner: there is no strategy `x`; there are: y");
    }
}
