//! The fields of a configuration as they are written down, their defaults, and what they accept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::health_check::HealthCheckConfig;
use super::human;
use super::outlier_detection::OutlierDetection;
use super::range::{LONGEST, check_backoff, duration, invalid, number};
use super::retry_budget::RetryBudgetConfig;
use super::slow_start::SlowStart;
use super::strategy_spec::StrategySpec;
use crate::hedge::HedgeConfig;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    pub(super) max_retries: u32,
    #[serde(with = "human")]
    pub(super) retry_delay: Duration,
    pub(super) retry_backoff: f64,
    #[serde(with = "human")]
    pub(super) max_retry_delay: Duration,
    pub(super) jitter: f64,
    #[serde(with = "human")]
    pub(super) max_wait: Duration,
    pub(super) max_waiting: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_failovers_per_round: Option<u32>,
    #[serde(with = "human::option", skip_serializing_if = "Option::is_none")]
    pub(super) attempt_timeout: Option<Duration>,
    #[serde(with = "human::option", skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Duration>,
    pub(super) retry_budget: RetryBudgetConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strategy: Option<StrategySpec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fallbacks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hedge: Option<HedgeConfig>,
    pub(super) outlier_detection: OutlierDetection,
    pub(super) slow_start: SlowStart,
    pub(super) health_check: HealthCheckConfig,
    /// Fields of a newer version of this library, kept so that rewriting a configuration loses nothing.
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, serde_json::Value>,
}

/// Their names, for people.
pub(super) const FIELDS: &str = "max_retries, retry_delay, retry_backoff, max_retry_delay, jitter, max_wait, max_waiting, \
                      max_failovers_per_round, attempt_timeout, deadline, retry_budget, strategy, fallbacks, hedge, \
                      outlier_detection, slow_start, health_check";

impl Default for Fields {
    fn default() -> Self {
        Self {
            max_retries: 100,
            retry_delay: Duration::from_secs(2),
            retry_backoff: 1.1,
            max_retry_delay: Duration::from_secs(30),
            jitter: 0.2,
            max_wait: Duration::from_secs(60),
            max_waiting: 10_000,
            max_failovers_per_round: None,
            attempt_timeout: None,
            deadline: None,
            retry_budget: RetryBudgetConfig::DEFAULT,
            strategy: None,
            fallbacks: Vec::new(),
            hedge: None,
            outlier_detection: OutlierDetection::DEFAULT,
            slow_start: SlowStart::OFF,
            health_check: HealthCheckConfig::DEFAULT,
            unknown: BTreeMap::new(),
        }
    }
}

impl Fields {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        duration("retry_delay", self.retry_delay)?;
        duration("max_retry_delay", self.max_retry_delay)?;
        if self.max_retry_delay < self.retry_delay {
            return invalid(
                "max_retry_delay",
                format!("{:?}", self.max_retry_delay),
                "must be at least `retry_delay`",
            );
        }
        check_backoff("retry_backoff", self.retry_backoff)?;
        number("jitter", self.jitter, 1.0)?;
        if self.max_wait > LONGEST {
            return invalid("max_wait", format!("{:?}", self.max_wait), "must be at most 7 days");
        }
        if self.max_failovers_per_round == Some(0) && self.max_retries > 0 && self.retry_delay.is_zero() {
            return invalid("max_failovers_per_round", "0".into(), "needs a `retry_delay`");
        }
        for (field, value) in [("attempt_timeout", self.attempt_timeout), ("deadline", self.deadline)] {
            if let Some(value) = value {
                duration(field, value)?;
            }
        }
        number("retry_budget.ratio", self.retry_budget.ratio, 10.0)?;
        number("retry_budget.min_per_second", self.retry_budget.min_per_second, 1e6)?;
        number("retry_budget.burst", self.retry_budget.burst, 1e6)?;
        if let Some(spec) = &self.strategy
            && spec.name.is_empty()
        {
            return invalid("strategy.name", "\"\"".into(), "must name a strategy, such as \"round_robin\"");
        }
        if let Some(hedge) = &self.hedge {
            if let Some(after) = hedge.after {
                duration("hedge.after", after)?;
            }
            number("hedge.percentile", hedge.percentile, 1.0)?;
            number("hedge.max_extra", hedge.max_extra, 1.0)?;
        }
        for (n, fallback) in self.fallbacks.iter().enumerate() {
            if fallback.is_empty() {
                return invalid("fallbacks", format!("{:?}", self.fallbacks), "each must name a service");
            }
            if self.fallbacks[..n].contains(fallback) {
                return invalid(
                    "fallbacks",
                    format!("{:?}", self.fallbacks),
                    "must not name a service twice",
                );
            }
        }
        self.outlier_detection.check()?;
        self.slow_start.check()?;
        self.health_check.check()
    }
}
