//! [`ServiceConfigBuilder`].

use std::time::Duration;

use super::error::ConfigError;
use super::fields::Fields;
use super::health_check::HealthCheckConfig;
use super::outlier_detection::OutlierDetection;
use super::retry_budget::RetryBudgetConfig;
use super::service_config::ServiceConfig;
use super::slow_start::SlowStart;
use super::strategy_spec::StrategySpec;
use crate::hedge::HedgeConfig;

/// Builds a [`ServiceConfig`]; see there for the meaning of each field.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServiceConfigBuilder {
    pub(super) fields: Fields,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $from:expr,)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: $type) -> Self {
            self.fields.$name = $from(value);
            self
        }
    )*};
}

impl ServiceConfigBuilder {
    setters! {
        /// Sets [`ServiceConfig::max_retries`].
        max_retries: u32 => std::convert::identity,
        /// Sets [`ServiceConfig::retry_delay`].
        retry_delay: Duration => std::convert::identity,
        /// Sets [`ServiceConfig::retry_backoff`].
        retry_backoff: f64 => std::convert::identity,
        /// Sets [`ServiceConfig::max_retry_delay`].
        max_retry_delay: Duration => std::convert::identity,
        /// Sets [`ServiceConfig::jitter`].
        jitter: f64 => std::convert::identity,
        /// Sets [`ServiceConfig::max_wait`].
        max_wait: Duration => std::convert::identity,
        /// Sets [`ServiceConfig::max_waiting`].
        max_waiting: u32 => std::convert::identity,
        /// Sets [`ServiceConfig::max_failovers_per_round`].
        max_failovers_per_round: u32 => Some,
        /// Sets [`ServiceConfig::attempt_timeout`].
        attempt_timeout: Duration => Some,
        /// Sets [`ServiceConfig::deadline`].
        deadline: Duration => Some,
        /// Sets [`ServiceConfig::retry_budget`].
        retry_budget: RetryBudgetConfig => std::convert::identity,
        /// Sets [`ServiceConfig::strategy`].
        strategy: StrategySpec => Some,
        /// Sets [`ServiceConfig::hedge`].
        hedge: HedgeConfig => Some,
        /// Sets [`ServiceConfig::fallbacks`].
        fallbacks: Vec<String> => std::convert::identity,
        /// Sets [`ServiceConfig::outlier_detection`].
        outlier_detection: OutlierDetection => std::convert::identity,
        /// Sets [`ServiceConfig::slow_start`].
        slow_start: SlowStart => std::convert::identity,
        /// Sets [`ServiceConfig::health_check`].
        health_check: HealthCheckConfig => std::convert::identity,
    }

    /// Checks every field. The error names the first one that cannot be meant.
    pub fn build(self) -> Result<ServiceConfig, ConfigError> {
        self.fields.try_into()
    }
}
