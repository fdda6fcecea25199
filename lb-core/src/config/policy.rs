//! The numbers that one call goes by: the service's configuration with the call's own overrides on top.

use std::time::Duration;

use super::error::ConfigError;
use super::range::{check_backoff, duration, number};
use super::service_config::ServiceConfig;

/// The resolved retry policy of one call. A plain `Copy` value, so that taking it costs a few nanoseconds and a call
/// goes by the same numbers from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallPolicy {
    /// See [`ServiceConfig::max_retries`].
    pub max_retries: u32,
    /// See [`ServiceConfig::max_failovers_per_round`].
    pub max_failovers_per_round: Option<u32>,
    /// See [`ServiceConfig::max_waiting`].
    pub max_waiting: u32,
    /// See [`ServiceConfig::retry_delay`].
    pub retry_delay: Duration,
    /// See [`ServiceConfig::max_retry_delay`].
    pub max_retry_delay: Duration,
    /// See [`ServiceConfig::max_wait`].
    pub max_wait: Duration,
    /// See [`ServiceConfig::retry_backoff`].
    pub retry_backoff: f64,
    /// See [`ServiceConfig::jitter`].
    pub jitter: f64,
    /// See [`ServiceConfig::attempt_timeout`].
    pub attempt_timeout: Option<Duration>,
    /// See [`ServiceConfig::deadline`].
    pub deadline: Option<Duration>,
}

impl CallPolicy {
    /// The policy that a configuration gives to calls without overrides.
    pub fn of(config: &ServiceConfig) -> Self {
        Self {
            max_retries: config.max_retries(),
            max_failovers_per_round: config.max_failovers_per_round(),
            max_waiting: config.max_waiting(),
            retry_delay: config.retry_delay(),
            max_retry_delay: config.max_retry_delay(),
            max_wait: config.max_wait(),
            retry_backoff: config.retry_backoff(),
            jitter: config.jitter(),
            attempt_timeout: config.attempt_timeout(),
            deadline: config.deadline(),
        }
    }
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self::of(&ServiceConfig::default())
    }
}

/// What one call overrides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    pub(crate) max_retries: Option<u32>,
    pub(crate) max_failovers_per_round: Option<u32>,
    pub(crate) retry_delay: Option<Duration>,
    pub(crate) max_retry_delay: Option<Duration>,
    pub(crate) max_wait: Option<Duration>,
    pub(crate) retry_backoff: Option<f64>,
    pub(crate) jitter: Option<f64>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
}

impl Overrides {
    /// Lays the overrides over `policy`. A `retry_delay` above the service's `max_retry_delay` raises that, too.
    pub(crate) fn apply(&self, policy: CallPolicy) -> CallPolicy {
        let retry_delay = self.retry_delay.unwrap_or(policy.retry_delay);
        CallPolicy {
            max_retries: self.max_retries.unwrap_or(policy.max_retries),
            max_failovers_per_round: self.max_failovers_per_round.or(policy.max_failovers_per_round),
            max_waiting: policy.max_waiting,
            retry_delay,
            max_retry_delay: self.max_retry_delay.unwrap_or(policy.max_retry_delay).max(retry_delay),
            max_wait: self.max_wait.unwrap_or(policy.max_wait),
            retry_backoff: self.retry_backoff.unwrap_or(policy.retry_backoff),
            jitter: self.jitter.unwrap_or(policy.jitter),
            attempt_timeout: self.attempt_timeout.or(policy.attempt_timeout),
            deadline: self.deadline.or(policy.deadline),
        }
    }

    /// The same checks that a [`ServiceConfig`] passes.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let durations = [
            ("retry_delay", self.retry_delay),
            ("max_retry_delay", self.max_retry_delay),
            ("attempt_timeout", self.attempt_timeout),
            ("deadline", self.deadline),
            // No wait at all is a choice.
            ("max_wait", self.max_wait.filter(|wait| !wait.is_zero())),
        ];
        for (field, value) in durations {
            if let Some(value) = value {
                duration(field, value)?;
            }
        }
        if let Some(value) = self.retry_backoff {
            check_backoff("retry_backoff", value)?;
        }
        if let Some(value) = self.jitter {
            number("jitter", value, 1.0)?;
        }
        Ok(())
    }
}
