//! The lease that all announcements of a process share: [`Lease`].

use std::time::Duration;

use crate::registry::shared::backoff::Backoff;
use crate::time::Time;

/// Where the shared lease is in its life.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) held: Option<Held>,
    /// Whether a step about it is on its way.
    pub(super) busy: bool,
    /// Not before this is it tried again.
    pub(super) retry_at: Time,
    pub(super) backoff: Backoff,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) id: u64,
    pub(super) beat: Duration,
}

impl Lease {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self { held: None, busy: false, retry_at: Time::ORIGIN, backoff }
    }

    pub(super) fn id(&self) -> Option<u64> {
        self.held.map(|held| held.id)
    }

    /// It was granted, or kept alive.
    pub(super) fn renewed(&mut self, held: Held, now: Time) {
        self.held = Some(held);
        self.retry_at = now + held.beat;
        self.backoff.reset();
    }

    /// The store does not know it: the next one is asked for at once.
    pub(super) fn lost(&mut self, now: Time) {
        self.held = None;
        self.retry_at = now;
    }
}
