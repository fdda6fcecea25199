//! By which numbers a quota is shared: [`Terms`].

use std::time::Duration;

use crate::limits::Limits;

/// By which numbers a quota is shared: derived from the declared [`Limits`], the same in every process.
///
/// The provider lets quota pile up for [`Limits::burst`]. Half of that may pile up in the store, a quarter may lie
/// leased and unused in processes; the rest covers that requests arrive at the provider later than they were counted.
///
/// ```
/// use lb_core::Limits;
/// use lb_core::limit::Terms;
///
/// let terms = Terms::of(Limits::NONE.requests_per_minute(600)).unwrap();
/// assert_eq!((terms.requests_per_minute, terms.requests_capacity()), (Some(600), 5.0));
/// assert_eq!(terms.horizon.as_millis(), 250);
/// assert!(Terms::of(Limits::NONE.concurrency(8)).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Terms {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// How long quota may pile up in the store.
    pub pile: Duration,
    /// For how long a lease is meant to last, and how long it is valid.
    pub horizon: Duration,
}

impl Terms {
    /// The terms of a quota; `None` if it has no rates.
    pub fn of(limits: Limits) -> Option<Self> {
        let burst = limits.burst.unwrap_or(Duration::from_secs(1));
        let terms = Self {
            requests_per_minute: limits.requests_per_minute.map(u64::from),
            tokens_per_minute: limits.tokens_per_minute,
            pile: burst / 2,
            horizon: (burst / 4).clamp(Duration::from_millis(20), Duration::from_secs(2)),
        };
        (terms.requests_per_minute.is_some() || terms.tokens_per_minute.is_some()).then_some(terms)
    }

    /// How many requests may pile up; at least one. Without a limit, infinite.
    pub fn requests_capacity(&self) -> f64 {
        capacity(self.requests_per_minute, self.pile)
    }

    /// How many tokens may pile up; at least one. Without a limit, infinite.
    pub fn tokens_capacity(&self) -> f64 {
        capacity(self.tokens_per_minute, self.pile)
    }
}

fn capacity(per_minute: Option<u64>, pile: Duration) -> f64 {
    per_minute.map_or(f64::INFINITY, |rate| (rate as f64 / 60.0 * pile.as_secs_f64()).max(1.0))
}
