//! How often instances are checked from outside, and what follows: [`HealthCheckConfig`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::human;
use super::range::{duration, invalid, number};

/// How active health checks go, if the balancer was [given one](crate::Builder::health_check). Part of
/// [`ServiceConfig`](crate::ServiceConfig), so operators change it while the application runs.
///
/// ```
/// use std::time::Duration;
/// use lb_core::{HealthCheckConfig, ServiceConfig};
///
/// let mut checks = HealthCheckConfig::DEFAULT;
/// checks.interval = Duration::from_secs(5);
/// let config = ServiceConfig::builder().health_check(checks).build()?;
///
/// assert_eq!(ServiceConfig::from_json(r#"{ "health_check": { "interval": "5s" } }"#)?, config);
/// # Ok::<(), lb_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthCheckConfig {
    /// Whether the service's instances are checked. Default `true`; without a [`HealthCheck`](crate::HealthCheck) it
    /// means nothing.
    pub enabled: bool,
    /// From the end of one check of an instance to the next. Default 10 s; 10 ms to 7 days.
    #[serde(with = "human")]
    pub interval: Duration,
    /// By which fraction each interval is spread, to both sides, so that the processes of a fleet do not check in step.
    /// Default 0.2; 0 to 1.
    pub jitter: f64,
    /// After how long a check has failed. Default 1 s.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// So many failed checks in a row take an instance out. Default 3 (as `HAProxy`'s `fall`); at least 1.
    pub unhealthy_threshold: u32,
    /// So many passed checks in a row bring it back. Default 2 (as `HAProxy`'s `rise`); at least 1.
    pub healthy_threshold: u32,
}

impl HealthCheckConfig {
    /// The defaults; see the fields.
    pub const DEFAULT: Self = Self {
        enabled: true,
        interval: Duration::from_secs(10),
        jitter: 0.2,
        timeout: Duration::from_secs(1),
        unhealthy_threshold: 3,
        healthy_threshold: 2,
    };

    /// Nobody is checked.
    pub const OFF: Self = Self { enabled: false, ..Self::DEFAULT };

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        duration("health_check.interval", self.interval)?;
        if self.interval < Duration::from_millis(10) {
            return invalid("health_check.interval", format!("{:?}", self.interval), "must be at least 10ms");
        }
        number("health_check.jitter", self.jitter, 1.0)?;
        duration("health_check.timeout", self.timeout)?;
        for (field, value) in [
            ("health_check.unhealthy_threshold", self.unhealthy_threshold),
            ("health_check.healthy_threshold", self.healthy_threshold),
        ] {
            if value == 0 {
                return invalid(field, "0".into(), "must be at least 1");
            }
        }
        Ok(())
    }
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
