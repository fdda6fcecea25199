//! The core of `loadbalance`.

pub mod config;
mod engine;
mod error;
pub mod failure;
pub mod health;
mod instance;
pub mod limit;
mod limits;
pub mod member;
mod options;
pub mod plan;
pub mod pool;
mod random;
pub mod registry;
mod request_error;
mod signal;
pub mod strategy;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod trail;

pub use config::{
    CallPolicy, ConfigError, FailurePercentageEjection, OutlierDetection, RetryBudgetConfig, ServiceConfig,
    ServiceConfigBuilder, SlowStart, StrategySpec, SuccessRateEjection,
};
pub use engine::{Builder, LoadBalancer, Picked, Service, Traced};
pub use error::{CallReport, Cause, Error, PickError, Unavailable};
pub use failure::{ByError, Classifier, Classify, Failure, FailureKind, Scope};
pub use instance::{Instance, ServiceInstance};
pub use limits::Limits;
pub use options::CallOptions;
pub use random::{RandomSource, SeededRandom, ThreadRandom};
pub use registry::{RegistryError, ServiceRegistry};
pub use request_error::RequestError;
pub use time::{Clock, Time};
pub use trail::{Attempt, Trail, Why};
