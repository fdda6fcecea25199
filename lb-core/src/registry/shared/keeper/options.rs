//! How announcements are kept: [`KeeperOptions`].

use std::time::Duration;

use crate::registry::shared::backoff::Backoff;

/// What a time-to-live belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Leases {
    /// One lease for all announcements of the process (etcd): it is granted, kept alive, and revoked in the end.
    #[default]
    Shared,
    /// Every announcement has its own (Redis): each is kept alive by a beat.
    Each,
}

/// How announcements are kept.
///
/// ```
/// use std::time::Duration;
/// use lb_core::registry::shared::{KeeperOptions, Leases};
///
/// let options = KeeperOptions::new(Leases::Shared, Duration::from_secs(15)).draining_first();
/// assert_eq!(options.beat(), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeeperOptions {
    /// What a time-to-live belongs to.
    pub leases: Leases,
    /// How long an announcement outlives its last sign of life.
    pub ttl: Duration,
    /// Whether an instance is written as draining before it is deleted, because the store does not tell watchers why a
    /// key is gone. Default no.
    pub draining_first: bool,
    /// How long to wait after a failure. Default 50 ms to 2 s, and never longer than a beat.
    pub backoff: Backoff,
}

impl KeeperOptions {
    /// Announcements that live for `ttl` without a sign of life.
    pub fn new(leases: Leases, ttl: Duration) -> Self {
        let ttl = ttl.max(Duration::from_millis(1));
        let longest = Duration::from_secs(2).min(ttl / 3);
        let backoff = Backoff::new(Duration::from_millis(50).min(longest), longest);
        Self { leases, ttl, draining_first: false, backoff }
    }

    /// Writes an instance as draining before it deletes it.
    #[must_use]
    pub const fn draining_first(mut self) -> Self {
        self.draining_first = true;
        self
    }

    /// Sets how long to wait after a failure.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How often a sign of life is given: three times within the time-to-live.
    pub fn beat(&self) -> Duration {
        self.ttl / 3
    }
}
