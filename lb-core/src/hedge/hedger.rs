//! Decides when a service's calls are hedged.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::config::HedgeConfig;
use super::histogram::Histogram;
use crate::config::RetryBudgetConfig;
use crate::pool::RetryBudget;
use crate::time::{Time, nanos};

/// After how many measured attempts the percentile is computed anew.
const REFRESH: u64 = 64;
/// Hedges that may be made at once, before their share has been earned.
const BURST: f64 = 10.0;

/// What hedging needs to know of one service. Kept as long as the configuration stays the same.
pub(crate) struct Hedger {
    config: HedgeConfig,
    histogram: Histogram,
    /// The percentile in nanoseconds; 0: not known yet.
    delay: AtomicU64,
    budget: RetryBudget,
}

impl Hedger {
    pub(crate) fn new(config: HedgeConfig, now: Time) -> Self {
        let budget = RetryBudgetConfig::new(config.max_extra, 0.0, BURST);
        Self {
            config,
            histogram: Histogram::new(),
            delay: AtomicU64::new(0),
            budget: RetryBudget::new(budget, now),
        }
    }

    pub(crate) fn config(&self) -> &HedgeConfig {
        &self.config
    }

    /// After how long without an answer to hedge; `None`: not known yet.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.config.after.or_else(|| match self.delay.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        })
    }

    /// A call has begun that may be hedged: earns its share.
    pub(crate) fn deposit(&self) {
        self.budget.deposit(1);
    }

    /// Whether one more extra request may be made now.
    pub(crate) fn may_hedge(&self, now: Time) -> bool {
        self.config.max_extra > 0.0 && self.budget.withdraw(now)
    }

    /// The extra request was not made after all.
    pub(crate) fn refund(&self) {
        self.budget.refund();
    }

    /// An attempt has succeeded after that time.
    pub(crate) fn observe(&self, latency: Duration) {
        if self.config.after.is_some() {
            return;
        }
        if self.histogram.record(latency).is_multiple_of(REFRESH)
            && let Some(delay) = self.histogram.quantile(self.config.percentile)
        {
            self.delay.store(nanos(delay), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Hedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedger")
            .field("config", &self.config)
            .field("delay", &self.delay())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_its_delay_and_keeps_to_its_share() {
        let now = Time::from_nanos(1);
        let hedger = Hedger::new(HedgeConfig::percentile(0.9).max_extra(0.05), now);
        for millis in 1..=63 {
            hedger.observe(Duration::from_millis(millis));
        }
        assert_eq!(hedger.delay(), None, "too few to tell");
        hedger.observe(Duration::from_millis(64));
        assert!((57..=63).contains(&hedger.delay().unwrap().as_millis()), "{:?}", hedger.delay());
        let mut hedged = 0;
        for _ in 0..10_000 {
            hedger.deposit();
            hedged += u32::from(hedger.may_hedge(now));
        }
        assert!((500..=510).contains(&hedged), "{hedged}");
    }

    #[test]
    fn a_fixed_delay_needs_no_learning() {
        let hedger = Hedger::new(HedgeConfig::after(Duration::from_millis(10)), Time::ORIGIN);
        assert_eq!(hedger.delay(), Some(Duration::from_millis(10)));
    }
}
