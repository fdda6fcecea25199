//! How long to wait before the store is tried again: [`Backoff`].

use std::time::Duration;

use crate::pool::exponential;
use crate::random::RandomSource;

/// Waits that grow while something keeps failing, and start small again once it worked.
///
/// A fleet that loses its store must not come back in step, so every wait is jittered; and no outage is final, so
/// there is no last one.
///
/// ```
/// use std::time::Duration;
/// use lb_core::SeededRandom;
/// use lb_core::registry::shared::Backoff;
///
/// let random = SeededRandom::new(7);
/// let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// assert!(backoff.next(&random) < Duration::from_millis(76));
/// for _ in 0..100 {
///     assert!(backoff.next(&random) <= Duration::from_secs(3));
/// }
/// backoff.reset();
/// assert!(backoff.next(&random) < Duration::from_millis(76));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// By how much each wait exceeds the one before it.
    pub const FACTOR: f64 = 2.0;
    /// How far a wait is spread to both sides.
    pub const JITTER: f64 = 0.5;

    /// Waits from `first` to `longest`, doubling, each spread by ± 50 %.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The wait after one more failure.
    pub fn next(&mut self, random: &dyn RandomSource) -> Duration {
        let wait = exponential(self.first, Self::FACTOR, self.longest, Self::JITTER, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It worked: the next failure waits shortly again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

impl Default for Backoff {
    /// 50 ms to 2 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }
}
