//! How a service's calls are retried: [`ServiceConfig`], kept in the registry beside the instances, so that operators
//! change it while the application runs.

pub(crate) mod human;
mod policy;
mod service_config;
mod strategy_spec;

pub use policy::CallPolicy;
pub(crate) use policy::Overrides;
pub use service_config::{ConfigError, RetryBudgetConfig, ServiceConfig, ServiceConfigBuilder};
pub use strategy_spec::StrategySpec;
