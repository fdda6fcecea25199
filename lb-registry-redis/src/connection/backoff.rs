//! How long to wait before the next attempt: [`Backoff`].

use std::time::Duration;

use lb_core::RandomSource;

/// Doubles from 50 ms to 2 s; each wait is drawn from the upper half, so that a fleet does not come back in step.
/// Starts again once something has worked for a while.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// What has worked for that long was no fluke.
const PROVEN: Duration = Duration::from_secs(5);

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self, random: &dyn RandomSource) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        half + Duration::from_nanos(random.below(half.as_nanos() as usize + 1) as u64)
    }

    /// What was waited for has worked for `lived`, and has ended.
    pub(crate) fn worked(&mut self, lived: Duration) {
        if lived >= PROVEN {
            self.failures = 0;
        }
    }

    /// Starts again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::SeededRandom;

    #[test]
    fn grows_is_spread_and_starts_again() {
        let random = SeededRandom::new(7);
        let mut backoff = Backoff::default();
        for n in 0..40 {
            let whole = FIRST.saturating_mul(1 << n.min(10)).min(LONGEST);
            let wait = backoff.next(&random);
            assert!(wait >= whole / 2 && wait <= whole, "{n}: {wait:?} of {whole:?}");
        }
        backoff.worked(Duration::from_secs(1));
        assert!(backoff.next(&random) >= Duration::from_secs(1), "a connection that flaps is not retried faster");
        backoff.worked(Duration::from_secs(6));
        assert!(backoff.next(&random) <= FIRST);
    }
}
