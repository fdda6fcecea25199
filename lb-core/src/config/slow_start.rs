//! How new and readmitted instances are eased in: [`SlowStart`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::human;
use super::range::invalid;

/// How an instance that is new, or back from an ejection, is eased in: it gets a share of its weight that grows from
/// `min_weight` to the whole within `window`. Part of [`ServiceConfig`](crate::ServiceConfig).
///
/// The share after a time t is `max(min_weight, (max(t, 1 s) / window)^(1 / aggression))`, as in Envoy. Instances that
/// are there when the balancer first sees the service are not new; and if all are new, none is eased in.
///
/// ```
/// use lb_core::ServiceConfig;
///
/// let config = ServiceConfig::from_json(r#"{ "slow_start": { "window": "60s", "aggression": 1.5 } }"#)?;
/// assert_eq!(config.slow_start().window.as_secs(), 60);
/// # Ok::<(), lb_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SlowStart {
    /// How long it takes. Default 0: off. Else 1 s to 1 day.
    #[serde(with = "human")]
    pub window: Duration,
    /// 1 grows evenly, more grows faster at first, less slower. Default 1; above 0, at most 100.
    pub aggression: f64,
    /// The share to start from. Default 0.1; 0.001 to 1.
    pub min_weight: f64,
}

impl SlowStart {
    /// No slow start. The default: most instances (keys of a provider, compiled services) are as good in their first
    /// second as later, and without it a new instance takes load off the others at once.
    pub const OFF: Self = Self { window: Duration::ZERO, aggression: 1.0, min_weight: 0.1 };

    /// Slow start over `window`, evenly.
    pub const fn over(window: Duration) -> Self {
        Self { window, ..Self::OFF }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        if !self.window.is_zero() && (self.window < Duration::from_secs(1) || self.window > DAY) {
            return invalid(
                "slow_start.window",
                format!("{:?}", self.window),
                "must be 0s, or from 1s to 1day",
            );
        }
        if !(self.aggression > 0.0 && self.aggression <= 100.0) {
            let problem = "must be a number above 0, at most 100";
            return invalid("slow_start.aggression", self.aggression.to_string(), problem);
        }
        if !(0.001..=1.0).contains(&self.min_weight) {
            let problem = "must be a number from 0.001 to 1";
            return invalid("slow_start.min_weight", self.min_weight.to_string(), problem);
        }
        Ok(())
    }
}

impl Default for SlowStart {
    fn default() -> Self {
        Self::OFF
    }
}
