//! The pool of one service: who is in it, who is chosen, and what an outcome means for whom. Decisions only: no clock,
//! no runtime. The engine drives it with real time; a simulator drives the same code with its own.
//! [`RetryPlan`](crate::plan::RetryPlan) has an example.

mod availability;
mod backoff;
mod budget;
mod build;
mod context;
mod departed;
mod home;
mod outcome;
#[allow(clippy::module_inception, reason = "the concept and its folder")]
mod pool;
mod published;
mod stats;

pub use backoff::backoff;
pub(crate) use backoff::exponential;
pub use budget::RetryBudget;
pub use context::PoolContext;
pub(crate) use home::Home;
pub use outcome::Effect;
pub(crate) use outcome::Measure;
pub use pool::{NoPick, Pool};
pub(crate) use published::Published;
pub use stats::{InstanceStats, ServiceStats};
