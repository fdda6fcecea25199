//! The core of `loadbalance`.

pub mod config;
pub mod failure;
mod instance;
mod limits;
mod options;
mod random;
pub mod registry;
mod request_error;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use config::{CallPolicy, ConfigError, RetryBudgetConfig, ServiceConfig, ServiceConfigBuilder, StrategySpec};
pub use failure::{ByError, Classifier, Classify, Failure, FailureKind, Scope};
pub use instance::{Instance, ServiceInstance};
pub use limits::Limits;
pub use options::CallOptions;
pub use random::{RandomSource, SeededRandom, ThreadRandom};
pub use registry::{RegistryError, ServiceRegistry};
pub use request_error::RequestError;
pub use time::{Clock, Time};
