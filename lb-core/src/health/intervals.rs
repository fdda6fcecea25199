//! The detectors that compare instances with each other, interval by interval (gRFC A50).

use std::sync::atomic::Ordering;

use super::detectors::{by_failure_percentage, by_success_rate};
use super::gate::HELD;
use super::pool_health::PoolHealth;
use crate::member::MemberState;
use crate::random::RandomSource;
use crate::time::Time;

impl PoolHealth {
    /// Whether an interval is to be begun or ended: [`tick`](Self::tick) has something to do.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        let began = self.interval.load(Ordering::Relaxed);
        began == 0 || now.since(Time::from_nanos(began)) >= self.settings.load().outliers.interval
    }

    /// Ends the interval that is running, if its time is over, and ejects who stood out in it; begins the next one.
    ///
    /// Called at failures, so a long time without any makes the interval long. It is not judged then: what it holds is
    /// too old.
    pub(crate) fn tick<'a>(&self, states: impl Iterator<Item = &'a MemberState>, now: Time) {
        let config = self.settings.load().outliers;
        let began = self.interval.load(Ordering::Relaxed);
        if !config.enabled
            || !self.is_due(now)
            || self
                .interval
                .compare_exchange(began, now.as_nanos().max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let fresh = began != 0 && now.since(Time::from_nanos(began)) < config.interval.saturating_mul(2);
        let (mut states_seen, mut tallies) = (Vec::new(), Vec::new());
        for state in states {
            let counts = state.counts();
            let tally = counts.since(std::mem::replace(&mut state.track().mark, counts));
            if fresh && state.gate().flags() & HELD == 0 {
                states_seen.push(state);
                tallies.push(tally);
            }
        }
        if !fresh {
            return;
        }
        let outliers = [
            (config.success_rate.enforcement, by_success_rate(&tallies, &config.success_rate)),
            (
                config.failure_percentage.enforcement,
                by_failure_percentage(&tallies, &config.failure_percentage),
            ),
        ];
        for (enforcement, found) in outliers {
            for (n, reason) in found {
                if (self.random.below(100) as u32) < enforcement {
                    self.eject(states_seen[n], reason, now, &config);
                }
            }
        }
    }
}
