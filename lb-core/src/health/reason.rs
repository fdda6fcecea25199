//! Why an instance is ejected: [`EjectionReason`].

use std::fmt;

use serde::Serialize;

/// Why an instance is ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum EjectionReason {
    /// So many requests in a row failed.
    ConsecutiveFailures {
        /// How many.
        failures: u32,
    },
    /// Too few requests succeeded.
    SuccessRate {
        /// How many of a hundred did.
        success_percent: u32,
        /// Of how many requests.
        requests: u64,
    },
    /// Far fewer requests succeeded than on the other instances.
    Outlier {
        /// How many of a hundred did.
        success_percent: u32,
        /// Of how many requests.
        requests: u64,
    },
    /// Too many requests failed, on this instance but not on most.
    FailurePercentage {
        /// How many of a hundred did.
        failure_percent: u32,
        /// Of how many requests.
        requests: u64,
    },
    /// It was probed, and failed.
    Probe,
    /// So many health checks in a row failed.
    HealthCheck {
        /// How many, when it was taken out or since.
        failures: u32,
    },
}

impl EjectionReason {
    /// The name in statistics and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ConsecutiveFailures { .. } => "consecutive_failures",
            Self::SuccessRate { .. } => "success_rate",
            Self::Outlier { .. } => "outlier",
            Self::FailurePercentage { .. } => "failure_percentage",
            Self::Probe => "probe",
            Self::HealthCheck { .. } => "health_check",
        }
    }
}

impl fmt::Display for EjectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsecutiveFailures { failures } => write!(f, "{failures} failures in a row"),
            Self::SuccessRate { success_percent, requests } => {
                write!(f, "{success_percent} % of {requests} requests succeeded")
            }
            Self::Outlier { success_percent, requests } => {
                write!(f, "{success_percent} % of {requests} requests succeeded, far fewer than elsewhere")
            }
            Self::FailurePercentage { failure_percent, requests } => {
                write!(f, "{failure_percent} % of {requests} requests failed")
            }
            Self::Probe => f.write_str("a probe failed"),
            Self::HealthCheck { failures } => write!(f, "{failures} health checks in a row failed"),
        }
    }
}
