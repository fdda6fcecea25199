//! When an instance that fails is left out for a while: [`OutlierDetection`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::human;
use super::range::{duration, invalid, number};

/// When an instance that fails is ejected (left out for a while), and when not. Part of
/// [`ServiceConfig`](crate::ServiceConfig), so operators change it while the application runs.
///
/// Timeouts, failures of the service and unreachable instances count. Quotas (429), unusable keys, requests that are
/// rejected or unsuitable, and cancelled attempts do not: they never eject anybody.
///
/// ```
/// use std::time::Duration;
/// use lb_core::{OutlierDetection, ServiceConfig};
///
/// let mut detection = OutlierDetection::DEFAULT;
/// detection.consecutive_failures = 3;
/// detection.base_ejection_time = Duration::from_secs(10);
/// let config = ServiceConfig::builder().outlier_detection(detection).build()?;
///
/// let json = r#"{ "outlier_detection": { "consecutive_failures": 3, "base_ejection_time": "10s" } }"#;
/// assert_eq!(ServiceConfig::from_json(json)?, config);
/// # Ok::<(), lb_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutlierDetection {
    /// Whether anybody is ejected at all. Default `true`. Switching it off readmits everybody.
    pub enabled: bool,
    /// So many failures in a row eject. Default 5; 0: does not look.
    pub consecutive_failures: u32,
    /// A lower share of successes within `window` ejects. Default 0.5; 0 to 1, 0: does not look.
    pub min_success_rate: f64,
    /// How many requests `min_success_rate` needs to judge by. Default 10.
    pub min_requests: u32,
    /// Over how long `min_success_rate` looks. Default 30 s.
    #[serde(with = "human")]
    pub window: Duration,
    /// How long the first ejection lasts; the n-th in close succession lasts n times as long. Default 30 s.
    #[serde(with = "human")]
    pub base_ejection_time: Duration,
    /// The longest ejection (unless `base_ejection_time` is longer). Default 5 min.
    #[serde(with = "human")]
    pub max_ejection_time: Duration,
    /// By which fraction at most an ejection is shorter than that, drawn anew each time, so that clients do not all
    /// come back at once. Default 0.1; 0 to 1.
    pub jitter: f64,
    /// The share of the instances that may be ejected at a time, in percent, rounded down; but one always may, and one
    /// never is. 0: nobody is ejected. Default `None`: 50, above 20 instances 10 (and at least 10 instances).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<u32>,
    /// If less than this percentage of the instances is not ejected, ejections are ignored ("panic"): too few are left
    /// to carry the load. The same holds, whatever is set here, if all are ejected, or all that are not are failing,
    /// too. Default 50; 0 to 100.
    pub panic_threshold: u32,
    /// Whether ejections stay in force in a panic: who is ejected gets nothing but probes, and calls fail at once if
    /// nobody else is there. Default `false`.
    pub fail_on_panic: bool,
    /// How often the two detectors below compare the instances of the pool, and how long a readmitted instance has to
    /// do well until one of its ejections is forgotten. Default 10 s.
    #[serde(with = "human")]
    pub interval: Duration,
    /// Ejects whose success rate is far below that of the others.
    pub success_rate: SuccessRateEjection,
    /// Ejects who fails more than a fixed share of its requests.
    pub failure_percentage: FailurePercentageEjection,
}

impl OutlierDetection {
    /// The defaults; see the fields.
    pub const DEFAULT: Self = Self {
        enabled: true,
        consecutive_failures: 5,
        min_success_rate: 0.5,
        min_requests: 10,
        window: Duration::from_secs(30),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        jitter: 0.1,
        max_ejection_percent: None,
        panic_threshold: 50,
        fail_on_panic: false,
        interval: Duration::from_secs(10),
        success_rate: SuccessRateEjection::DEFAULT,
        failure_percentage: FailurePercentageEjection::DEFAULT,
    };

    /// Nobody is ejected.
    pub const OFF: Self = Self { enabled: false, ..Self::DEFAULT };

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        fraction("outlier_detection.min_success_rate", self.min_success_rate)?;
        duration("outlier_detection.window", self.window)?;
        duration("outlier_detection.base_ejection_time", self.base_ejection_time)?;
        duration("outlier_detection.max_ejection_time", self.max_ejection_time)?;
        fraction("outlier_detection.jitter", self.jitter)?;
        percent("outlier_detection.max_ejection_percent", self.max_ejection_percent.unwrap_or(0))?;
        percent("outlier_detection.panic_threshold", self.panic_threshold)?;
        duration("outlier_detection.interval", self.interval)?;
        let SuccessRateEjection { enforcement, stdev_factor, margin, .. } = self.success_rate;
        percent("outlier_detection.success_rate.enforcement", enforcement)?;
        up_to_100("outlier_detection.success_rate.stdev_factor", stdev_factor)?;
        up_to_100("outlier_detection.success_rate.margin", margin)?;
        let FailurePercentageEjection { enforcement, threshold, .. } = self.failure_percentage;
        percent("outlier_detection.failure_percentage.enforcement", enforcement)?;
        percent("outlier_detection.failure_percentage.threshold", threshold)
    }
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The success-rate detector of gRFC A50: every `interval`, instances whose success rate is below
/// `mean − stdev_factor · standard deviation` of all rates are ejected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SuccessRateEjection {
    /// In how many of a hundred cases it ejects whom it finds. Default 100; 0: it does not look.
    pub enforcement: u32,
    /// Default 1.9.
    pub stdev_factor: f64,
    /// By how many percentage points at least the rate must be below the mean. Default 5: where all are at 100 % but
    /// for one at 99.9 %, the standard deviation alone would eject that one. Not in gRFC A50; 0 is as there.
    pub margin: f64,
    /// How many instances must have had enough requests. Default 5.
    pub min_hosts: u32,
    /// How many requests are enough. Default 100.
    pub min_requests: u32,
}

impl SuccessRateEjection {
    /// The defaults; see the fields.
    pub const DEFAULT: Self =
        Self { enforcement: 100, stdev_factor: 1.9, margin: 5.0, min_hosts: 5, min_requests: 100 };
}

impl Default for SuccessRateEjection {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The failure-percentage detector of gRFC A50: every `interval`, instances that failed more than `threshold` percent
/// of their requests are ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FailurePercentageEjection {
    /// In how many of a hundred cases it ejects whom it finds. Default 100; 0: it does not look.
    pub enforcement: u32,
    /// Default 85.
    pub threshold: u32,
    /// How many instances must have had enough requests. Default 5.
    pub min_hosts: u32,
    /// How many requests are enough. Default 50.
    pub min_requests: u32,
}

impl FailurePercentageEjection {
    /// The defaults; see the fields.
    pub const DEFAULT: Self = Self { enforcement: 100, threshold: 85, min_hosts: 5, min_requests: 50 };
}

impl Default for FailurePercentageEjection {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn percent(field: &'static str, value: u32) -> Result<(), ConfigError> {
    if value <= 100 {
        Ok(())
    } else {
        invalid(field, value.to_string(), "must be a percentage from 0 to 100")
    }
}

fn fraction(field: &'static str, value: f64) -> Result<(), ConfigError> {
    number(field, value, 1.0)
}

fn up_to_100(field: &'static str, value: f64) -> Result<(), ConfigError> {
    if (0.0..=100.0).contains(&value) {
        Ok(())
    } else {
        invalid(field, value.to_string(), "must be a number from 0 to 100")
    }
}
