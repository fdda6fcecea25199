//! [`ServiceConfig`]: always valid, once it exists.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::health_check::HealthCheckConfig;
use super::human;
use super::outlier_detection::OutlierDetection;
use super::slow_start::SlowStart;
use super::strategy_spec::StrategySpec;
use crate::hedge::HedgeConfig;

/// The longest duration that any field accepts.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A field of a configuration that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is out of range.
    #[error("`{field}` = {value}: {problem}")]
    Invalid {
        /// The field, as in the JSON form (`retry_delay`, `retry_budget.ratio`).
        field: &'static str,
        /// The value, printed.
        value: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// The field does not exist.
    #[error("`{field}` is not a field of a service configuration; there are: {known}")]
    UnknownField {
        /// The name that was given.
        field: String,
        /// The names that exist.
        known: String,
    },
    /// The text is not a configuration at all.
    #[error("the configuration cannot be read: {0}")]
    Malformed(String),
}

/// How the retry budget paces fail-overs: a token bucket per service and process.
///
/// A fail-over at once takes one token; without one it waits for the backoff instead. Nothing ever fails because of
/// the budget, and it does not lower the number of attempts: [`max_retries`](ServiceConfig::max_retries) does that. Every request adds `ratio` tokens, every second `min_per_second`; at most `burst` are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryBudgetConfig {
    /// Tokens added per request: 0.2 lets one request in five be failed over at once, in the long run. 0 to 10.
    pub ratio: f64,
    /// Tokens added per second whatever the traffic, for services with few requests. 0 to 1,000,000.
    pub min_per_second: f64,
    /// The most tokens kept, and the number at the start. 0 to 1,000,000.
    pub burst: f64,
}

impl RetryBudgetConfig {
    /// 20 % of the requests, at least 10 a second, a burst of 100 (Finagle's defaults: 20 %, 10/s over 10 s).
    pub const DEFAULT: Self = Self { ratio: 0.2, min_per_second: 10.0, burst: 100.0 };

    /// No pacing: every fail-over is at once.
    pub const UNLIMITED: Self = Self { ratio: 10.0, min_per_second: 1_000_000.0, burst: 1_000_000.0 };

    /// A budget of the given ratio, floor and burst; checked when the configuration is built.
    pub const fn new(ratio: f64, min_per_second: f64, burst: f64) -> Self {
        Self { ratio, min_per_second, burst }
    }
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    max_retries: u32,
    #[serde(with = "human")]
    retry_delay: Duration,
    retry_backoff: f64,
    #[serde(with = "human")]
    max_retry_delay: Duration,
    jitter: f64,
    #[serde(with = "human")]
    max_wait: Duration,
    max_waiting: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_failovers_per_round: Option<u32>,
    #[serde(with = "human::option", skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(with = "human::option", skip_serializing_if = "Option::is_none")]
    deadline: Option<Duration>,
    retry_budget: RetryBudgetConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<StrategySpec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallbacks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge: Option<HedgeConfig>,
    outlier_detection: OutlierDetection,
    slow_start: SlowStart,
    health_check: HealthCheckConfig,
    /// Fields of a newer version of this library, kept so that rewriting a configuration loses nothing.
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

const FIELDS: &str = "max_retries, retry_delay, retry_backoff, max_retry_delay, jitter, max_wait, max_waiting, \
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
    fn check(&self) -> Result<(), ConfigError> {
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

pub(super) fn invalid(field: &'static str, value: String, problem: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::Invalid { field, value, problem })
}

pub(super) fn duration(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    if value < Duration::from_micros(1) {
        invalid(field, format!("{value:?}"), "must be at least 1us")
    } else if value > LONGEST {
        invalid(field, format!("{value:?}"), "must be at most 7 days")
    } else {
        Ok(())
    }
}

pub(super) fn check_backoff(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if (1.0..=1000.0).contains(&value) {
        Ok(())
    } else {
        invalid(field, value.to_string(), "must be a number from 1 to 1000")
    }
}

pub(super) fn number(field: &'static str, value: f64, max: f64) -> Result<(), ConfigError> {
    if (0.0..=max).contains(&value) {
        return Ok(());
    }
    let problem = if max <= 1.0 {
        "must be a number from 0 to 1"
    } else if max <= 10.0 {
        "must be a number from 0 to 10"
    } else {
        "must be a number from 0 to 1,000,000"
    };
    invalid(field, value.to_string(), problem)
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

/// Builds a [`ServiceConfig`]; see there for the meaning of each field.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServiceConfigBuilder {
    fields: Fields,
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
