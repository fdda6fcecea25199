//! Points in time, as the decisions see them.
//!
//! Decisions never read a clock. They are given a [`Time`], which is a number of nanoseconds since an origin
//! that only the caller knows: the engine counts from the moment the balancer was built, a simulator from
//! whatever it likes. So the same code runs in production and at millions of decisions a second in a simulation.

use std::cell::Cell;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since an origin chosen by whoever drives the decisions.
///
/// Two values are comparable only if they come from the same [`Clock`]. Arithmetic saturates; it never panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin. Where a field means "none yet", it holds this value.
    pub const ORIGIN: Self = Self(0);
    /// The far end: later than every time that can occur.
    pub const MAX: Self = Self(u64::MAX);

    /// A time `nanos` nanoseconds after the origin.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A time `duration` after the origin (saturating at [`Time::MAX`], 584 years).
    #[inline]
    pub const fn after_origin(duration: Duration) -> Self {
        Self(nanos(duration))
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole nanoseconds, saturating at `u64::MAX`.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

impl Add<Duration> for Time {
    type Output = Self;
    #[inline]
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(nanos(rhs)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(rhs)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// Something that knows what time it is.
///
/// The engine's clock reads the runtime's time (so that paused time in tests is seen); a [`Time`] is a clock
/// that stands still, which is what a simulator hands in.
pub trait Clock: Send + Sync {
    /// The time now. Never goes backwards.
    fn now(&self) -> Time;
}

impl Clock for Time {
    fn now(&self) -> Time {
        *self
    }
}

/// The time of one decision, read at most once and only if somebody asks: a clock read costs as much as a pick.
#[derive(Clone)]
pub(crate) struct LazyNow<'a> {
    clock: &'a dyn Clock,
    read: Cell<Option<Time>>,
}

impl<'a> LazyNow<'a> {
    #[inline]
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, read: Cell::new(None) }
    }

    #[inline]
    pub(crate) fn get(&self) -> Time {
        if let Some(now) = self.read.get() {
            return now;
        }
        let now = self.clock.now();
        self.read.set(Some(now));
        now
    }
}

impl fmt::Debug for LazyNow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyNow").field(&self.read.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::ORIGIN - Duration::from_secs(1), Time::ORIGIN);
        assert_eq!(Time::ORIGIN.since(Time::MAX), Duration::ZERO);
        assert_eq!(Time::after_origin(Duration::MAX), Time::MAX);
    }
}
