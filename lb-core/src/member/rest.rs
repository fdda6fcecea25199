//! Times during which an instance (or a quota group) is left alone.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use serde::Serialize;

use crate::time::{LazyNow, Time};

/// Why an instance rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestReason {
    /// It, or its quota group, asked to be left alone (`Retry-After`).
    RetryAfter,
    /// It said that it cannot serve anybody ([`FailureKind::Unusable`](crate::FailureKind::Unusable)).
    Unusable,
    /// It failed too often, or far more often than the others.
    Ejected,
}

impl RestReason {
    fn from_u8(n: u8) -> Self {
        if n == Self::Unusable as u8 { Self::Unusable } else { Self::RetryAfter }
    }
}

/// A point in time until which something is left alone. Overlapping rests merge by maximum.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Nanoseconds; 0 is none.
    until: AtomicU64,
    /// For statistics; may lag behind `until` for a moment.
    reason: AtomicU8,
}

impl Rest {
    /// Whether it is still resting. Costs one load while nothing rests; the clock is read only while something does.
    #[inline]
    pub(crate) fn is_active(&self, now: &LazyNow<'_>) -> bool {
        // Relaxed: a pick that misses a rest that begins this instant is one more request among those already sent.
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && self.is_active_slow(until, now)
    }

    #[cold]
    fn is_active_slow(&self, until: u64, now: &LazyNow<'_>) -> bool {
        if now.get().as_nanos() < until {
            return true;
        }
        // Over: forget it, unless somebody has extended it meanwhile.
        let _ = self.until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        false
    }

    /// Rests until `until`, or longer if it already does. Returns whether that made a difference.
    pub(crate) fn extend(&self, until: Time, reason: RestReason) -> bool {
        let longer = self.until.fetch_max(until.as_nanos(), Ordering::Relaxed) < until.as_nanos();
        if longer {
            self.reason.store(reason as u8, Ordering::Relaxed);
        }
        longer
    }

    pub(crate) fn clear(&self) {
        self.until.store(0, Ordering::Relaxed);
    }

    /// Until when, and why, if it is resting at `now`.
    pub(crate) fn get(&self, now: Time) -> Option<(Time, RestReason)> {
        let until = Time::from_nanos(self.until.load(Ordering::Relaxed));
        (until > now).then(|| (until, RestReason::from_u8(self.reason.load(Ordering::Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_rests_merge_by_maximum() {
        let (rest, at) = (Rest::default(), Time::from_nanos);
        assert!(!rest.is_active(&LazyNow::new(&at(1))));
        assert!(rest.extend(at(50), RestReason::RetryAfter));
        assert!(!rest.extend(at(20), RestReason::Unusable), "a shorter one changes nothing");
        assert!(rest.is_active(&LazyNow::new(&at(49))));
        assert_eq!(rest.get(at(49)), Some((at(50), RestReason::RetryAfter)));
        assert!(!rest.is_active(&LazyNow::new(&at(50))));
        assert_eq!(rest.get(at(1)), None, "over is over");
    }
}
