//! How a service's calls are retried: [`ServiceConfig`], kept in the registry beside the instances, so that operators
//! change it while the application runs.

mod health_check;
pub mod human;
mod outlier_detection;
mod policy;
mod service_config;
mod slow_start;
mod strategy_spec;

pub use health_check::HealthCheckConfig;
pub use outlier_detection::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};
pub use policy::CallPolicy;
pub(crate) use policy::Overrides;
pub use service_config::{ConfigError, RetryBudgetConfig, ServiceConfig, ServiceConfigBuilder};
pub use slow_start::SlowStart;
pub use strategy_spec::StrategySpec;
