//! The limiter that holds a group to its declared limits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Limiter;
use super::bucket::Bucket;
use crate::limits::Limits;
use crate::time::Time;

/// Concurrency, requests per minute and tokens per minute, each if declared. No lock: two atomic operations per
/// dimension and request.
#[derive(Debug, Default)]
pub struct DeclaredLimits {
    /// 0 is unlimited here; a declared 0 is kept as [`NOBODY`].
    concurrency: AtomicU32,
    in_use: AtomicU32,
    requests: Bucket,
    tokens: Bucket,
}

/// Stands for a declared concurrency of 0: no request passes.
const NOBODY: u32 = u32::MAX;

/// How long quota piles up where [`Limits::burst`] does not say.
const DEFAULT_BURST: Duration = Duration::from_secs(1);

impl DeclaredLimits {
    /// A limiter for the given limits.
    pub fn new(limits: Limits) -> Self {
        let limiter = Self::default();
        limiter.declare(limits);
        limiter
    }

    fn enter(&self) -> Result<(), Time> {
        let limit = self.concurrency.load(Ordering::Relaxed);
        let mine = self.in_use.fetch_add(1, Ordering::Relaxed);
        if limit == 0 || (limit != NOBODY && mine < limit) {
            return Ok(());
        }
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        Err(Time::MAX)
    }
}

impl Limiter for DeclaredLimits {
    fn declare(&self, limits: Limits) {
        let burst = limits.burst.unwrap_or(DEFAULT_BURST);
        let concurrency = limits.concurrency.map_or(0, |n| if n == 0 { NOBODY } else { n });
        self.concurrency.store(concurrency, Ordering::Relaxed);
        self.requests.set(limits.requests_per_minute.map(u64::from), burst);
        self.tokens.set(limits.tokens_per_minute, burst);
    }

    fn try_acquire(&self, cost: u64, now: Time) -> Result<(), Time> {
        self.enter()?;
        self.requests
            .take(1, now)
            .and_then(|()| self.tokens.take(cost, now).inspect_err(|_| self.requests.give_back(1)))
            .inspect_err(|_| self.release())
    }

    fn release(&self) {
        // A request that began before the group had a limiter was not counted in.
        let _ =
            self.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| in_use.checked_sub(1));
    }

    fn available_at(&self, cost: u64, now: Time) -> Time {
        let limit = self.concurrency.load(Ordering::Relaxed);
        if limit != 0 && (limit == NOBODY || self.in_use.load(Ordering::Relaxed) >= limit) {
            return Time::MAX;
        }
        self.requests.available_at(1, now).max(self.tokens.available_at(cost, now))
    }

    fn headroom(&self, now: Time) -> f64 {
        let concurrency = match self.concurrency.load(Ordering::Relaxed) {
            0 => 1.0,
            NOBODY => 0.0,
            limit => (1.0 - f64::from(self.in_use.load(Ordering::Relaxed)) / f64::from(limit)).max(0.0),
        };
        concurrency.min(self.requests.fill(now)).min(self.tokens.fill(now))
    }

    fn settle(&self, reserved: u64, actual: u64, now: Time) {
        if actual > reserved {
            self.tokens.charge(actual - reserved, now);
        } else {
            self.tokens.give_back(reserved - actual);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_nanos(1_000_000_000);

    #[test]
    fn concurrency_is_freed_by_release() {
        let limiter = DeclaredLimits::new(Limits::NONE.concurrency(2));
        limiter.try_acquire(1, START).unwrap();
        limiter.try_acquire(1, START).unwrap();
        assert_eq!(limiter.try_acquire(1, START), Err(Time::MAX));
        assert!(limiter.headroom(START) < 1e-9);
        limiter.release();
        limiter.try_acquire(1, START).unwrap();
    }

    #[test]
    fn a_refusal_in_one_dimension_takes_nothing_in_another() {
        let limits = Limits::NONE.concurrency(10).requests_per_minute(600).tokens_per_minute(6_000);
        let limiter = DeclaredLimits::new(limits);
        limiter.try_acquire(100, START).unwrap();
        for _ in 0..1000 {
            assert!(limiter.try_acquire(100, START).is_err(), "no tokens are left");
        }
        limiter.settle(100, 1, START);
        limiter.try_acquire(50, START).unwrap();
        assert!(limiter.headroom(START) > 0.4, "{}", limiter.headroom(START));
    }

    #[test]
    fn a_declared_zero_lets_nobody_pass() {
        let limiter = DeclaredLimits::new(Limits::NONE.concurrency(0));
        assert_eq!(limiter.try_acquire(1, START), Err(Time::MAX));
        limiter.declare(Limits::NONE);
        limiter.try_acquire(1, START).unwrap();
    }
}
