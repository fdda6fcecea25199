//! Checks of single fields: what they accept, and the words for what they do not.

use std::time::Duration;

use super::error::ConfigError;

/// The longest duration that any field accepts.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

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
