//! A rate limit in one atomic word: the generic cell rate algorithm.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::{Time, nanos};

/// The interval of a rate of 0: nothing passes.
const NEVER: u64 = u64::MAX;

/// A token bucket that holds `rate · burst`, kept as the time at which it will be full again (the "theoretical
/// arrival time" of ITU-T I.371). Taking and giving back is one compare-exchange each.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Nanoseconds per unit; 0 is unlimited.
    interval: AtomicU64,
    /// Nanoseconds' worth of units that fit.
    depth: AtomicU64,
    full_at: AtomicU64,
}

impl Bucket {
    /// Sets the rate; what was taken stays taken. At least one unit always fits.
    pub(crate) fn set(&self, per_minute: Option<u64>, burst: Duration) {
        let interval = match per_minute {
            None => 0,
            Some(0) => NEVER,
            Some(n) => (60_000_000_000 / n).max(1),
        };
        self.set_nanos(interval, nanos(burst));
    }

    /// Sets the time between two units and what fits, both in nanoseconds.
    pub(crate) fn set_nanos(&self, interval: u64, depth: u64) {
        self.interval.store(interval, Ordering::Relaxed);
        self.depth.store(depth.max(if interval == NEVER { 0 } else { interval }), Ordering::Relaxed);
    }

    /// Whether it lets everything pass. One load.
    #[inline]
    pub(crate) fn is_unlimited(&self) -> bool {
        self.interval.load(Ordering::Relaxed) == 0
    }

    /// Units per second: `None` is unlimited.
    pub(crate) fn per_second(&self) -> Option<f64> {
        match self.interval.load(Ordering::Relaxed) {
            0 => None,
            NEVER => Some(0.0),
            interval => Some(1e9 / interval as f64),
        }
    }

    /// The time between two units and what fits, both in nanoseconds.
    pub(crate) fn shape(&self) -> (u64, u64) {
        (self.interval.load(Ordering::Relaxed), self.depth.load(Ordering::Relaxed))
    }

    /// Nothing is in it at `now`.
    pub(crate) fn drain(&self, now: Time) {
        self.fill_to(0, now);
    }

    /// So many units are in it at `now`, or as many as fit.
    pub(crate) fn fill_to(&self, units: u64, now: Time) {
        self.full_at.store(self.full_at_with(units, now), Ordering::Relaxed);
    }

    /// At most so many units are in it at `now`.
    pub(crate) fn lower_to(&self, units: u64, now: Time) {
        self.full_at.fetch_max(self.full_at_with(units, now), Ordering::Relaxed);
    }

    fn full_at_with(&self, units: u64, now: Time) -> u64 {
        let missing = self.depth.load(Ordering::Relaxed).saturating_sub(self.price(units));
        now.as_nanos().saturating_add(missing)
    }

    /// What `units` cost in nanoseconds.
    fn price(&self, units: u64) -> u64 {
        self.interval.load(Ordering::Relaxed).saturating_mul(units)
    }

    /// Takes `units`, or says when that will be possible. More than the bucket holds can be taken when it is full; who
    /// comes next waits for all of it.
    pub(crate) fn take(&self, units: u64, now: Time) -> Result<(), Time> {
        self.take_seeing(units, now).map(|_| ())
    }

    /// The same, and says when it was, or would have been, full.
    pub(crate) fn take_seeing(&self, units: u64, now: Time) -> Result<u64, Time> {
        let price = self.price(units);
        if price == 0 {
            return Ok(0);
        }
        if self.interval.load(Ordering::Relaxed) == NEVER {
            return Err(Time::MAX);
        }
        let (now, depth) = (now.as_nanos(), self.depth.load(Ordering::Relaxed));
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let from = full_at.max(now);
                let fits = from.saturating_add(price.min(depth)) <= now.saturating_add(depth);
                fits.then(|| from.saturating_add(price))
            })
            .map_err(|full_at| {
                Time::from_nanos(full_at.saturating_add(price.min(depth)).saturating_sub(depth))
            })
    }

    /// When `units` can be taken; not later than `now` if at once.
    pub(crate) fn available_at(&self, units: u64, now: Time) -> Time {
        let (price, depth) = (self.price(units), self.depth.load(Ordering::Relaxed));
        if price != 0 && self.interval.load(Ordering::Relaxed) == NEVER {
            return Time::MAX;
        }
        let full_at = self.full_at.load(Ordering::Relaxed).max(now.as_nanos());
        Time::from_nanos(full_at.saturating_add(price.min(depth)).saturating_sub(depth)).max(now)
    }

    /// Gives `units` back (a reservation that was not used).
    pub(crate) fn give_back(&self, units: u64) {
        let price = self.price(units);
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.saturating_sub(price))
        });
    }

    /// Takes `units` whether they are there or not; later requests wait for them.
    pub(crate) fn charge(&self, units: u64, now: Time) {
        let price = self.interval.load(Ordering::Relaxed).saturating_mul(units);
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.max(now.as_nanos()).saturating_add(price))
        });
    }

    /// How full it is, from 0 to 1.
    pub(crate) fn fill(&self, now: Time) -> f64 {
        match self.interval.load(Ordering::Relaxed) {
            0 => return 1.0,
            NEVER => return 0.0,
            _ => {}
        }
        let depth = self.depth.load(Ordering::Relaxed).max(1) as f64;
        let missing = self.full_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos()) as f64;
        (1.0 - missing / depth).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn passes_a_burst_and_then_the_rate() {
        let bucket = Bucket::default();
        bucket.set(Some(240), SECOND); // 4 a second, 4 at once
        let start = Time::after_origin(SECOND);
        assert_eq!((0..10).filter(|_| bucket.take(1, start).is_ok()).count(), 4);
        let next = bucket.take(1, start).unwrap_err();
        assert_eq!(next, start + SECOND / 4);
        assert_eq!(bucket.available_at(1, start), next);
        assert!(bucket.take(1, next - Duration::from_nanos(1)).is_err());
        assert!(bucket.take(1, next).is_ok());
        assert!(bucket.fill(next) < 0.01);
        assert!((bucket.fill(next + SECOND / 2) - 0.5).abs() < 0.01);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = Bucket::default();
        bucket.set(Some(60), SECOND);
        let start = Time::after_origin(SECOND);
        bucket.take(1, start).unwrap();
        bucket.give_back(1);
        bucket.take(1, start).unwrap();
        bucket.charge(2, start);
        assert_eq!(bucket.available_at(1, start), start + 3 * SECOND);
    }

    #[test]
    fn more_than_it_holds_is_paid_in_full() {
        let bucket = Bucket::default();
        bucket.set(Some(60_000), SECOND); // 1,000 a second, 1,000 at once
        let mut now = Time::after_origin(SECOND);
        for _ in 0..30 {
            now = bucket.available_at(10_000, now);
            bucket.take(10_000, now).unwrap();
        }
        assert_eq!(now, Time::after_origin(SECOND) + 290 * SECOND);
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        let bucket = Bucket::default();
        bucket.set(Some(0), SECOND);
        let now = Time::after_origin(SECOND);
        assert_eq!((bucket.take(1, now), bucket.available_at(1, now)), (Err(Time::MAX), Time::MAX));
        assert!(bucket.fill(now) < 1e-9);
    }

    #[test]
    fn extremes_do_no_harm() {
        let bucket = Bucket::default();
        assert!(bucket.take(u64::MAX, Time::MAX).is_ok(), "unlimited");
        bucket.set(Some(0), Duration::ZERO);
        let _ = bucket.take(u64::MAX, Time::MAX);
        bucket.set(Some(u64::MAX), Duration::MAX);
        let _ = bucket.take(u64::MAX, Time::ORIGIN);
        bucket.charge(u64::MAX, Time::MAX);
        let _ = bucket.available_at(u64::MAX, Time::MAX);
    }
}
