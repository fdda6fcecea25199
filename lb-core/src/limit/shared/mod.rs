//! Quotas that several processes share: the [`SharedLimits`] of a store, and the [`SharedLimiters`] that balancers use.
//!
//! A key's quota is one, however many processes use it. Where each process counts for itself, they overrun it together,
//! and what one learns of a rest the others find out by being refused. Asking a store before every request would cost
//! a round trip each. So a process *leases* a piece of the quota, spends it locally, and fetches the next one before
//! the piece is used up; what it does not use it gives back. Rests are told to everybody at once.
//!
//! ```text
//!  request ─▶ SharedLimiter::try_acquire        atomics only
//!                  │ runs low: a signal
//!                  ▼
//!             Tender (a task per busy key) ─▶ SharedLimits::lease ─▶ the store
//! ```

mod demand;
mod driver;
mod lease;
mod limiter;
mod piece;
mod state;
mod terms;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;

use crate::registry::RegistryError;

pub use driver::SharedLimiters;
pub use lease::{Lease, LeaseRequest};
pub use terms::Terms;

/// A store of quotas that processes share. Implemented by registries that can (Redis); given to [`SharedLimiters`].
///
/// Methods may take as long as a round trip, and are not called by requests. An error makes the process go by its fair
/// share until the store answers again.
#[async_trait]
pub trait SharedLimits: Send + Sync + 'static {
    /// Takes a piece of the quota `key`, and gives back what is left of the piece before.
    async fn lease(&self, key: &str, request: LeaseRequest) -> Result<Lease, RegistryError>;

    /// Tells everybody that nobody is to use `key` for that long. Rests that overlap merge by maximum.
    async fn rest(&self, key: &str, remaining: Duration) -> Result<(), RegistryError>;

    /// Has `listener` called with what remains of a rest of `key`, whenever somebody tells of one, for as long as the
    /// returned guard lives. Must not block.
    fn follow(&self, key: &str, listener: Box<dyn Fn(Duration) + Send + Sync>) -> Box<dyn Send + Sync>;
}
