//! Quotas: a [`QuotaGroup`] is what shares one account's quota, a [`Limiter`] says whether it has room.
//!
//! A provider's "no" costs a round trip, and may cost more: some count refused requests, too. So a request goes only
//! where there is room, and waits if there is none.
//!
//! The built-in limiters hold a group to its declared [`Limits`]. Another [`LimiterFactory`], given to
//! the builder, can share quotas between processes or learn them; the seam is the same.

mod bucket;
mod declared;
mod group;
mod shared;

use std::sync::Arc;
use std::time::Duration;

pub use declared::DeclaredLimits;
pub use group::QuotaGroup;
pub(crate) use group::QuotaGroups;
pub use shared::{Lease, LeaseRequest, SharedLimiters, SharedLimits, Terms};

use crate::limits::Limits;
use crate::time::Time;

/// What a provider said of the quota that is left, in the headers of an answer. Handed on by
/// [`Picked::hint`](crate::Picked::hint); [`DeclaredLimits`] does not use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaHint {
    /// Requests that are left.
    pub remaining_requests: Option<u64>,
    /// Tokens that are left.
    pub remaining_tokens: Option<u64>,
    /// When they are replenished, from now.
    pub reset_after: Option<Duration>,
}

impl QuotaHint {
    /// Nothing said.
    pub const fn new() -> Self {
        Self { remaining_requests: None, remaining_tokens: None, reset_after: None }
    }

    /// Requests that are left.
    #[must_use]
    pub const fn remaining_requests(mut self, n: u64) -> Self {
        self.remaining_requests = Some(n);
        self
    }

    /// Tokens that are left.
    #[must_use]
    pub const fn remaining_tokens(mut self, n: u64) -> Self {
        self.remaining_tokens = Some(n);
        self
    }

    /// When they are replenished, from now.
    #[must_use]
    pub const fn reset_after(mut self, after: Duration) -> Self {
        self.reset_after = Some(after);
        self
    }
}

/// Says whether a quota group has room for one more request. Called by picks, so it must not block, and should take
/// no lock and not allocate; a limiter that shares quotas over the network does that in the background.
pub trait Limiter: Send + Sync + 'static {
    /// Takes the smallest limits that the group's members declare. Called when that changes.
    fn declare(&self, limits: Limits);

    /// Reserves room for one request of `cost` tokens, or says when to try again ([`Time::MAX`]: when a request ends).
    fn try_acquire(&self, cost: u64, now: Time) -> Result<(), Time>;

    /// The request has ended (whatever came of it): frees concurrency.
    fn release(&self);

    /// When [`try_acquire`](Self::try_acquire) could succeed: `now` or earlier if it could at once.
    fn available_at(&self, cost: u64, now: Time) -> Time;

    /// What is left, from 0 to 1, by the scarcest dimension.
    fn headroom(&self, now: Time) -> f64;

    /// The request turned out to cost `actual` tokens instead of the `reserved` ones.
    fn settle(&self, reserved: u64, actual: u64, now: Time) {
        let _ = (reserved, actual, now);
    }

    /// The provider refused a request for its quota. The group is rested by the balancer if the provider said for how
    /// long; a limiter may learn from it.
    fn refused(&self, retry_after: Option<Duration>, now: Time) {
        let _ = (retry_after, now);
    }

    /// The provider said what is left.
    fn hint(&self, hint: QuotaHint, now: Time) {
        let _ = (hint, now);
    }
}

/// Makes the limiter of a quota group. Asked when a group appears, or an instance without one. Given to
/// [`Builder::limiters`](crate::Builder::limiters).
///
/// ```
/// use std::sync::Arc;
/// use lb_core::Limits;
/// use lb_core::limit::{DeclaredLimits, Limiter, LimiterFactory};
///
/// /// Nobody gets more than four requests at a time, whatever is declared.
/// struct AtMostFour;
///
/// impl LimiterFactory for AtMostFour {
///     fn limiter(&self, _key: &str, limits: Limits) -> Option<Arc<dyn Limiter>> {
///         Some(Arc::new(DeclaredLimits::new(limits.concurrency(4))))
///     }
/// }
/// # let _ = AtMostFour.limiter("account", Limits::NONE);
/// ```
pub trait LimiterFactory: Send + Sync + 'static {
    /// The limiter for `key` (the quota group's name, or `service/instance` for an instance without one), or `None`
    /// if it needs none. `limits` is what its first member declares.
    fn limiter(&self, key: &str, limits: Limits) -> Option<Arc<dyn Limiter>>;
}

/// Holds groups to their declared limits; the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeclaredLimiters;

impl LimiterFactory for DeclaredLimiters {
    fn limiter(&self, _: &str, limits: Limits) -> Option<Arc<dyn Limiter>> {
        if limits.is_none() {
            return None;
        }
        Some(Arc::new(DeclaredLimits::new(limits)))
    }
}
