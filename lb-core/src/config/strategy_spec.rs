//! A strategy by name, as configuration carries it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names a strategy and its parameters: `{ "name": "round_robin", "params": {} }`. A
/// [`StrategyFactory`](crate::strategy::StrategyFactory) turns it into a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StrategySpec {
    /// The strategy's name, in `snake_case`.
    pub name: String,
    /// Its parameters. `null` (the default): all at their defaults.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub params: serde_json::Value,
}

impl StrategySpec {
    /// A strategy with its default parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: serde_json::Value::Null }
    }

    /// Sets the parameters.
    #[must_use]
    pub fn with_params(mut self, params: serde_json::Value) -> Self {
        self.params = params;
        self
    }
}

impl fmt::Display for StrategySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.params.is_null() {
            f.write_str(&self.name)
        } else {
            write!(f, "{} {}", self.name, self.params)
        }
    }
}
