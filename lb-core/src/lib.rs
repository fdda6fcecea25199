//! The core of `loadbalance`: traits, decisions, and the engine of a client-side load balancer.
//!
//! To *use* the library depend on `loadbalance`, which adds registries and strategies to this and re-exports what is
//! here. Depend on this crate to *extend* it: registries and strategies need nothing else, and so build without each
//! other. The core knows no backend.
//!
//! # The map
//!
//! Code belongs to one of three floors. The lower ones know nothing of the upper ones' runtime, so that the same
//! decisions are made in production and under a simulator's clock.
//!
//! | Floor | What | Where |
//! |---|---|---|
//! | Seams | what can be balanced over | [`ServiceInstance`], [`Instance`], [`Limits`] |
//! | | where instances and configuration live | [`registry`] |
//! | | how to choose | [`strategy`] |
//! | | what a failure means | [`failure`], [`RequestError`] |
//! | | how quotas are kept | [`limit`] |
//! | | what providers say of them | [`headers`] |
//! | Engine | runs calls: awaits, sleeps, ends attempts | [`LoadBalancer`], [`Service`], [`Picked`], [`CallOptions`], [`Error`] |
//! | Decisions | who is in the set, who is picked, what an outcome means for whom | [`pool`], [`member`] |
//! | | what a call does next | [`plan`] |
//! | | the numbers that it goes by | [`config`] |
//! | | time and chance, as arguments | [`Time`], [`Clock`], [`RandomSource`] |
//!
//! `testing` (feature `testing`) has the contract tests that registries and strategies must pass.

pub mod config;
mod engine;
mod error;
pub mod failure;
pub mod headers;
pub mod health;
mod hedge;
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
pub use hedge::HedgeConfig;
pub use instance::{Instance, ServiceInstance};
pub use limits::Limits;
pub use options::CallOptions;
pub use random::{RandomSource, SeededRandom, ThreadRandom};
pub use registry::{RegistryError, ServiceRegistry};
pub use request_error::RequestError;
pub use time::{Clock, Time};
pub use trail::{Attempt, Trail, Why};
