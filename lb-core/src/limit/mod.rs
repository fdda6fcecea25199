//! Quotas: a [`QuotaGroup`] is what shares one account's quota, a [`Limiter`] says whether it has room.
//!
//! A provider's "no" costs a round trip, and may cost more: some count refused requests, too. So a request goes only
//! where there is room, and waits if there is none.
//!
//! By default [`AdaptiveLimits`] holds a group to its declared [`Limits`], else to what the provider says is left
//! ([`QuotaHint`]), else to what its refusals teach. [`DeclaredLimiters`] do the first only. Another [`LimiterFactory`],
//! given to the builder, can share quotas between processes; the seam is the same.

mod adaptive;
mod bucket;
mod declared;
mod group;
mod hint;
mod learn;
mod shared;
mod status;

use std::sync::Arc;
use std::time::Duration;

pub use adaptive::{AdaptiveLimiters, AdaptiveLimits};
pub use declared::DeclaredLimits;
pub use group::QuotaGroup;
pub(crate) use group::QuotaGroups;
pub use hint::QuotaHint;
pub use shared::{Lease, LeaseRequest, SharedLimiters, SharedLimits, Terms};
pub use status::{QuotaSource, QuotaStatus};

use crate::limits::Limits;
use crate::time::Time;

/// Says whether a quota group has room for one more request. Called by picks, so it must not block, and should take
/// no lock and not allocate; a limiter that shares quotas over the network does that in the background.
pub trait Limiter: Send + Sync + 'static {
    /// Takes the smallest limits that the group's members declare. Called when that changes.
    fn declare(&self, limits: Limits);

    /// Whether it lets everything pass at the moment. Then a pick does not ask further, and the clock is not read for it.
    fn is_idle(&self) -> bool {
        false
    }

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

    /// The same, with what is known of the request. Returns whether that changed anything: of several refusals of one
    /// burst only the first one says something new. By default it asks [`refused`](Self::refused).
    fn refusal(&self, refusal: Refusal, now: Time) -> bool {
        self.refused(refusal.retry_after, now);
        true
    }

    /// What is in force, for statistics; `None`: nothing, or it does not say.
    fn status(&self, now: Time) -> Option<QuotaStatus> {
        let _ = now;
        None
    }

    /// The provider said what is left.
    fn hint(&self, hint: QuotaHint, now: Time) {
        let _ = (hint, now);
    }
}

/// A request that the provider refused for its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// When the request began.
    pub sent: Time,
    /// How long the provider asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The refusal of a request that began at `sent`.
    pub const fn new(sent: Time, retry_after: Option<Duration>) -> Self {
        Self { sent, retry_after }
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

    /// The limiter for `key`, which has none, when the provider refuses a request for its quota or says what is left.
    /// `None`, the default: it still needs none.
    fn on_demand(&self, key: &str) -> Option<Arc<dyn Limiter>> {
        let _ = key;
        None
    }
}

/// Holds groups to their declared limits and to nothing else.
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
