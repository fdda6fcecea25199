//! How a service's calls are retried: [`ServiceConfig`], kept in the registry beside the instances, so that operators
//! change it while the application runs.

mod builder;
mod error;
mod fields;
mod health_check;
pub mod human;
mod outlier_detection;
mod policy;
mod range;
mod retry_budget;
mod service_config;
mod slow_start;
mod strategy_spec;

pub use builder::ServiceConfigBuilder;
pub use error::ConfigError;
pub use health_check::HealthCheckConfig;
pub use outlier_detection::{FailurePercentageEjection, OutlierDetection, SuccessRateEjection};
pub use policy::CallPolicy;
pub(crate) use policy::Overrides;
pub use retry_budget::RetryBudgetConfig;
pub use service_config::ServiceConfig;
pub use slow_start::SlowStart;
pub use strategy_spec::StrategySpec;
