//! The success rate of one instance over a window: [`Accrual`].

use super::counts::{Counts, Tally};
use crate::config::OutlierDetection;
use crate::time::Time;

/// Looks at the success rate of one instance, at each of its failures and at no other time.
///
/// The window begins with a failure and lasts for `window`; the first failure after that begins another. So nothing has
/// to be done while an instance works, and an old failure is not held against it for long.
#[derive(Debug, Default)]
pub(crate) struct Accrual {
    window: Option<(Time, Counts)>,
}

impl Accrual {
    /// The instance has failed; `counts` includes that. Returns what speaks for an ejection.
    pub(crate) fn fault(&mut self, counts: Counts, now: Time, config: &OutlierDetection) -> Option<Tally> {
        let base = match self.window {
            Some((began, base)) if now.since(began) < config.window => base,
            _ => {
                let before = Counts {
                    finished: counts.finished.saturating_sub(1),
                    faults: counts.faults.saturating_sub(1),
                    ..counts
                };
                self.window = Some((now, before));
                before
            }
        };
        let tally = counts.since(base);
        let enough = config.min_success_rate > 0.0 && tally.requests >= u64::from(config.min_requests.max(1));
        (enough && tally.success_rate() < config.min_success_rate).then_some(tally)
    }

    /// Begins anew: what was counted has had its effect.
    pub(crate) fn reset(&mut self) {
        self.window = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Feeds a script (`true` is a success), one request each `step`; returns after how many it trips.
    fn trips_after(
        script: impl Iterator<Item = bool>,
        step: Duration,
        config: &OutlierDetection,
    ) -> Option<usize> {
        let (mut accrual, mut counts, mut now) = (Accrual::default(), Counts::default(), Time::from_nanos(1));
        for (n, success) in script.enumerate() {
            now = now + step;
            counts.finished += 1;
            if !success {
                counts.faults += 1;
                if accrual.fault(counts, now, config).is_some() {
                    return Some(n + 1);
                }
            }
        }
        None
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn needs_enough_requests() {
        let config = OutlierDetection::DEFAULT;
        assert_eq!(trips_after([false; 9].into_iter(), SECOND, &config), None);
        assert_eq!(trips_after([false; 10].into_iter(), SECOND, &config), Some(10));
    }

    #[test]
    fn a_rate_above_the_minimum_never_trips() {
        let config = OutlierDetection::DEFAULT;
        let two_of_three = (0..10_000).map(|n| n % 3 != 0);
        assert_eq!(trips_after(two_of_three, SECOND / 100, &config), None);
        let one_of_three = (0..10_000).map(|n| n % 3 == 0);
        assert!(trips_after(one_of_three, SECOND / 100, &config).is_some_and(|n| n < 30));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let config = OutlierDetection::DEFAULT;
        assert_eq!(trips_after([false; 100].into_iter(), 4 * SECOND, &config), None, "8 in each window");
    }
}
