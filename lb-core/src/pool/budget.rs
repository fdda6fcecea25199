//! Paces fail-overs when many calls fail: [`RetryBudget`].

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::config::RetryBudgetConfig;
use crate::time::Time;

/// Thousandths of a token.
const MILLI: f64 = 1000.0;

/// A token bucket per service, after Finagle's `RetryBudget`: requests add a fraction of a token each, time adds a
/// few per second, a fail-over at once takes one. Its numbers are those of
/// [`RetryBudgetConfig`].
#[derive(Debug)]
pub struct RetryBudget {
    millis: AtomicI64,
    /// Configuration and the last refill. Locked on the failure path only.
    refill: Mutex<Refill>,
    per_request: AtomicI64,
    burst: AtomicI64,
}

#[derive(Debug)]
struct Refill {
    config: RetryBudgetConfig,
    last: Time,
}

impl RetryBudget {
    /// A full budget.
    pub fn new(config: RetryBudgetConfig, now: Time) -> Self {
        let burst = (config.burst * MILLI) as i64;
        Self {
            millis: AtomicI64::new(burst),
            refill: Mutex::new(Refill { config, last: now }),
            per_request: AtomicI64::new((config.ratio * MILLI) as i64),
            burst: AtomicI64::new(burst),
        }
    }

    /// Takes another configuration. What is in the bucket stays, up to the new burst.
    pub fn configure(&self, config: RetryBudgetConfig) {
        let mut refill = self.refill.lock().unwrap_or_else(PoisonError::into_inner);
        if refill.config != config {
            refill.config = config;
            self.per_request.store((config.ratio * MILLI) as i64, Ordering::Relaxed);
            self.burst.store((config.burst * MILLI) as i64, Ordering::Relaxed);
            self.add(0);
        }
    }

    /// `n` requests were made. Called for a batch at a time: this is a cache line that all threads share, which is written
    /// only while the bucket is not full.
    #[inline]
    pub fn deposit(&self, n: u32) {
        if self.millis.load(Ordering::Relaxed) < self.burst.load(Ordering::Relaxed) {
            self.add(self.per_request.load(Ordering::Relaxed) * i64::from(n));
        }
    }

    /// Takes one token, if there is one.
    pub fn withdraw(&self, now: Time) -> bool {
        self.refill(now);
        self.millis
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |millis| {
                (millis >= 1000).then_some(millis - 1000)
            })
            .is_ok()
    }

    /// Gives a token back that was not used.
    pub fn refund(&self) {
        self.add(1000);
    }

    /// Whole tokens that are left.
    pub fn tokens(&self) -> u64 {
        u64::try_from(self.millis.load(Ordering::Relaxed) / 1000).unwrap_or(0)
    }

    fn refill(&self, now: Time) {
        let mut refill = self.refill.lock().unwrap_or_else(PoisonError::into_inner);
        let earned = now.since(refill.last).as_secs_f64() * refill.config.min_per_second * MILLI;
        // Wait until it makes whole thousandths, so that frequent calls do not round it away.
        if earned >= 1.0 {
            refill.last = now;
            self.add(earned.min(1e12) as i64);
        }
    }

    fn add(&self, millis: i64) {
        let burst = self.burst.load(Ordering::Relaxed);
        if millis == 0 || self.millis.fetch_add(millis, Ordering::Relaxed) + millis > burst {
            self.millis.fetch_min(burst, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn spend(budget: &RetryBudget, now: Time) -> usize {
        (0..100_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_fraction_of_the_requests_and_a_floor() {
        let start = Time::from_nanos(1);
        let budget = RetryBudget::new(RetryBudgetConfig::new(0.2, 10.0, 100.0), start);
        assert_eq!(spend(&budget, start), 100, "the burst");
        budget.deposit(16);
        assert_eq!(spend(&budget, start), 3, "16 · 0.2");
        assert_eq!(spend(&budget, start + Duration::from_secs(2)), 20, "10 a second");
        assert_eq!(spend(&budget, start + Duration::from_secs(3600)), 100, "at most the burst");
    }

    #[test]
    fn frequent_looks_lose_nothing() {
        let start = Time::from_nanos(1);
        let budget = RetryBudget::new(RetryBudgetConfig::new(0.0, 1.0, 10.0), start);
        spend(&budget, start);
        let taken =
            (1..=10_000_u64).filter(|i| budget.withdraw(start + Duration::from_micros(500 * i))).count();
        assert!((4..=5).contains(&taken), "{taken} in 5 s");
    }

    #[test]
    fn a_new_configuration_takes_effect_at_once() {
        let start = Time::from_nanos(1);
        let budget = RetryBudget::new(RetryBudgetConfig::DEFAULT, start);
        budget.configure(RetryBudgetConfig::new(0.0, 0.0, 2.0));
        assert_eq!(spend(&budget, start), 2);
        budget.deposit(1000);
        assert!(!budget.withdraw(start + Duration::from_secs(10)));
    }
}
