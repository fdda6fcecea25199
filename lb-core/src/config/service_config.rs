//! [`ServiceConfig`]: always valid, once it exists.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::builder::ServiceConfigBuilder;
use super::error::ConfigError;
use super::fields::{FIELDS, Fields};
use super::health_check::HealthCheckConfig;
use super::outlier_detection::OutlierDetection;
use super::retry_budget::RetryBudgetConfig;
use super::slow_start::SlowStart;
use super::strategy_spec::StrategySpec;
use crate::hedge::HedgeConfig;

/// How calls to one service are retried. Always valid: it comes from [`ServiceConfig::builder`] or from JSON, and both
/// check every field. In JSON, durations are strings with a unit (`"2s"`, `"1m 30s"`).
///
/// The defaults are patient: without a [`deadline`](Self::deadline) a call to a single instance that always fails goes on
/// for about 40 minutes.
///
/// ```
/// use std::time::Duration;
/// use lb_core::ServiceConfig;
///
/// let config = ServiceConfig::builder().max_retries(5).deadline(Duration::from_secs(20)).build()?;
/// assert_eq!(config.max_retries(), 5);
///
/// let config: ServiceConfig = serde_json::from_str(r#"{ "retry_delay": "250ms", "attempt_timeout": "10s" }"#)?;
/// assert_eq!(config.retry_delay(), Duration::from_millis(250));
///
/// let error = ServiceConfig::from_json(r#"{ "retry_backoff": 0.5 }"#).unwrap_err();
/// assert!(error.to_string().contains("retry_backoff"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
#[non_exhaustive]
pub struct ServiceConfig {
    fields: Fields,
}

impl TryFrom<Fields> for ServiceConfig {
    type Error = ConfigError;
    fn try_from(fields: Fields) -> Result<Self, ConfigError> {
        fields.check()?;
        Ok(Self { fields })
    }
}

impl From<ServiceConfig> for Fields {
    fn from(config: ServiceConfig) -> Self {
        config.fields
    }
}

impl ServiceConfig {
    /// Starts from the defaults.
    pub fn builder() -> ServiceConfigBuilder {
        Self::default().to_builder()
    }

    /// Starts from this configuration.
    pub fn to_builder(&self) -> ServiceConfigBuilder {
        ServiceConfigBuilder { fields: self.fields.clone() }
    }

    /// Reads a configuration that a person wrote: like `serde_json::from_str`, but a field that does not exist is an
    /// error. (Deserialising keeps unknown fields, so that an older process of a fleet understands what a newer one
    /// wrote; see [`unknown_fields`](Self::unknown_fields).)
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let fields: Fields = serde_json::from_str(json).map_err(|e| ConfigError::Malformed(e.to_string()))?;
        if let Some(field) = fields.unknown.keys().next() {
            return Err(ConfigError::UnknownField { field: field.clone(), known: FIELDS.into() });
        }
        fields.try_into()
    }

    /// Attempts after the first one, over all rounds, instances and fallbacks. Default 100; 0 means one attempt.
    pub fn max_retries(&self) -> u32 {
        self.fields.max_retries
    }

    /// The wait after the first round over the instances. Default 2 s; 1 µs to 7 days.
    pub fn retry_delay(&self) -> Duration {
        self.fields.retry_delay
    }

    /// By how much the wait grows with each round. Default 1.1; 1 to 1000.
    pub fn retry_backoff(&self) -> f64 {
        self.fields.retry_backoff
    }

    /// The longest wait between two rounds, before jitter. Default 30 s; at least `retry_delay`, at most 7 days.
    pub fn max_retry_delay(&self) -> Duration {
        self.fields.max_retry_delay
    }

    /// By which fraction each wait is spread: 0.2 draws evenly from 80 % to 120 %. Default 0.2; 0 to 1.
    pub fn jitter(&self) -> f64 {
        self.fields.jitter
    }

    /// The longest wait for an instance to become available (rests, quotas). Default 60 s; at most 7 days; 0 means: do
    /// not wait.
    pub fn max_wait(&self) -> Duration {
        self.fields.max_wait
    }

    /// How many calls may wait for an instance at the same time, per process; one more is told `Overloaded`.
    /// Default 10,000.
    pub fn max_waiting(&self) -> u32 {
        self.fields.max_waiting
    }

    /// Fail-overs at once within a round, after its first attempt. Default `None`: all instances if there are at
    /// most 32, else 5.
    pub fn max_failovers_per_round(&self) -> Option<u32> {
        self.fields.max_failovers_per_round
    }

    /// How long one attempt may take before it counts as [timed out](crate::FailureKind::Timeout): its future is
    /// dropped. Default `None`: as long as the closure takes. 1 µs to 7 days. With this or a deadline, each attempt arms
    /// a timer.
    pub fn attempt_timeout(&self) -> Option<Duration> {
        self.fields.attempt_timeout
    }

    /// How long the whole call may take, waits and all attempts included. It ends a running attempt; a wait that cannot
    /// end before it is not begun. Default `None`. 1 µs to 7 days.
    pub fn deadline(&self) -> Option<Duration> {
        self.fields.deadline
    }

    /// How fail-overs are paced when many calls fail. Default [`RetryBudgetConfig::DEFAULT`].
    pub fn retry_budget(&self) -> RetryBudgetConfig {
        self.fields.retry_budget
    }

    /// The strategy that the registry asks for. Default `None`: the one the balancer was built with.
    pub fn strategy(&self) -> Option<&StrategySpec> {
        self.fields.strategy.as_ref()
    }

    /// When instances that fail are left out for a while.
    pub fn outlier_detection(&self) -> OutlierDetection {
        self.fields.outlier_detection
    }

    /// How new and readmitted instances are eased in.
    pub fn slow_start(&self) -> SlowStart {
        self.fields.slow_start
    }

    /// How instances are checked, if the balancer has a [health check](crate::HealthCheck).
    pub fn health_check(&self) -> HealthCheckConfig {
        self.fields.health_check
    }

    /// Services to go on with, in this order, when this one has nobody left to try (all have failed in this call, rest, or
    /// are gone) or cannot do what was asked ([`Unsuitable`](crate::FailureKind::Unsuitable)). Default none. A service cannot be its own fallback; registries
    /// refuse that.
    pub fn fallbacks(&self) -> &[String] {
        &self.fields.fallbacks
    }

    /// When to make a second attempt while the first one is still running. Default `None`: never.
    pub fn hedge(&self) -> Option<&HedgeConfig> {
        self.fields.hedge.as_ref()
    }

    /// Fields that this version does not know. They are kept when the configuration is written again.
    pub fn unknown_fields(&self) -> impl Iterator<Item = &str> {
        self.fields.unknown.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_original_ones() {
        let config = ServiceConfig::default();
        assert_eq!(config.max_retries(), 100);
        assert_eq!(config.retry_delay(), Duration::from_secs(2));
        assert!((config.retry_backoff() - 1.1).abs() < f64::EPSILON);
        assert_eq!(config, serde_json::from_str("{}").unwrap());
    }

    #[test]
    fn survives_a_round_trip_with_fields_from_the_future() {
        let json = r#"{"retry_delay":"1s 500ms","attempt_timeout":"250ms","from_the_future":{"a":1}}"#;
        let config: ServiceConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config.unknown_fields().collect::<Vec<_>>(), ["from_the_future"]);
        let again: ServiceConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
        assert_eq!(again.retry_delay(), Duration::from_millis(1500));
    }

    #[test]
    fn every_bad_field_is_named() {
        let bad = [
            (r#"{"retry_backoff": 0.99}"#, "retry_backoff"),
            (r#"{"retry_delay": "0s"}"#, "retry_delay"),
            (r#"{"retry_delay": "9days"}"#, "retry_delay"),
            (r#"{"retry_delay": "31s"}"#, "max_retry_delay"),
            (r#"{"max_wait": "8days"}"#, "max_wait"),
            (r#"{"jitter": 1.5}"#, "jitter"),
            (r#"{"jitter": -0.1}"#, "jitter"),
            (r#"{"attempt_timeout": "0s"}"#, "attempt_timeout"),
            (r#"{"deadline": "0ms"}"#, "deadline"),
            (r#"{"retry_budget": {"ratio": -1}}"#, "retry_budget.ratio"),
            (r#"{"strategy": {"name": ""}}"#, "strategy.name"),
            (r#"{"hedge": {"percentile": 95}}"#, "hedge.percentile"),
            (r#"{"hedge": {"after": "0s"}}"#, "hedge.after"),
            (r#"{"fallbacks": ["a", ""]}"#, "fallbacks"),
            (r#"{"fallbacks": ["a", "b", "a"]}"#, "fallbacks"),
            (r#"{"max_retrys": 3}"#, "max_retrys"),
            (r#"{"retry_delay": 2}"#, "not a duration"),
            (r#"{"max_retries": -1}"#, "max_retries|-1"),
            (r#"{"strategy": {"nam": "x"}}"#, "nam"),
            (r#"{"outlier_detection": {"consecutive": 3}}"#, "consecutive"),
            (r#"{"outlier_detection": {"interval": "0s"}}"#, "outlier_detection.interval"),
            (r#"{"outlier_detection": {"jitter": 1.1}}"#, "outlier_detection.jitter"),
            (
                r#"{"outlier_detection": {"max_ejection_percent": 101}}"#,
                "outlier_detection.max_ejection_percent",
            ),
            (
                r#"{"outlier_detection": {"success_rate": {"stdev_factor": -1}}}"#,
                "outlier_detection.success_rate.stdev_factor",
            ),
            (
                r#"{"outlier_detection": {"failure_percentage": {"threshold": 101}}}"#,
                "outlier_detection.failure_percentage.threshold",
            ),
            (r#"{"outlier_detection": {"base_ejection_time": 30}}"#, "not a duration"),
            (r#"{"slow_start": {"window": "10ms"}}"#, "slow_start.window"),
            (r#"{"slow_start": {"aggression": 0}}"#, "slow_start.aggression"),
            (r#"{"slow_start": {"min_weight": 0}}"#, "slow_start.min_weight"),
            (r#"{"slow_start": {"windw": "1s"}}"#, "windw"),
            (r#"{"health_check": {"interval": "1ms"}}"#, "health_check.interval"),
            (r#"{"health_check": {"healthy_threshold": 0}}"#, "health_check.healthy_threshold"),
            (r#"{"health_check": {"jitter": 2}}"#, "health_check.jitter"),
        ];
        for (json, name) in bad {
            let error = ServiceConfig::from_json(json).unwrap_err().to_string();
            assert!(name.split('|').any(|name| error.contains(name)), "{json}: {error}");
        }
        for nan in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(ServiceConfig::builder().retry_backoff(nan).build().is_err());
            assert!(ServiceConfig::builder().jitter(nan).build().is_err());
        }
        assert!(ServiceConfig::builder().retry_delay(Duration::MAX).build().is_err());
    }
}
