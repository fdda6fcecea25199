//! How much is probed, and how often an answer is used: [`Probing`], [`Pace`].

use std::time::Duration;

use lb_core::{RandomSource, Time};

use super::pool::NO_END;

/// The parameters of the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Probing {
    /// Probes per pick.
    pub(super) rate: f64,
    /// Answers that are kept.
    pub(super) pool: usize,
    /// For how long.
    pub(super) max_age: Duration,
    /// How many are forgotten per pick: the worst and the oldest in turn.
    pub(super) remove_rate: f64,
    /// A probe is sent at least so often while the service is in use.
    pub(super) idle: Duration,
}

/// How much more the pool is to be filled than emptied.
const DELTA: f64 = 1.0;

impl Probing {
    pub(super) const DEFAULT: Self = Self {
        rate: 3.0,
        pool: 16,
        max_age: Duration::from_secs(1),
        remove_rate: 1.0,
        idle: Duration::from_millis(250),
    };

    /// How often an answer is used, in the mean, where there are `n` members: equation (1) of the paper,
    /// `max(1, (1 + δ) / ((1 − m/n) · r_probe − r_remove))`. `None` where that has no bound, because the pool has room
    /// for nearly everybody: then an answer is used until it is replaced or too old.
    pub(super) fn reuse(&self, n: usize) -> Option<f64> {
        let strangers = 1.0 - self.pool as f64 / n as f64;
        let gain = strangers * self.rate - self.remove_rate;
        (gain > 0.0).then(|| ((1.0 + DELTA) / gain).max(1.0))
    }

    /// The same for one answer: up or down to a whole number, by chance, so that the mean is right.
    pub(super) fn uses(&self, n: usize, random: &dyn RandomSource) -> u8 {
        match self.reuse(n) {
            Some(uses) if uses < f64::from(NO_END) - 1.0 => (uses + random.unit()) as u8,
            _ => NO_END,
        }
    }

    /// Whether answers are forgotten besides those that are used up: only where the pool cannot hold all members. There
    /// those that are left over are the bad ones; where each member has its place there is nothing to make room for.
    pub(super) fn removes(&self, n: usize) -> bool {
        n > self.pool && self.remove_rate > 0.0
    }
}

/// How many probes are due. Knows neither clock nor runtime.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Picks that have been counted.
    picks: u64,
    /// Probes that are owed for them.
    owed: f64,
    last: Option<Time>,
}

impl Pace {
    /// How many probes to send now that so many picks were made, of all time. What would be more than a pool full twice
    /// is not caught up on: it would replace itself.
    pub(super) fn due(&mut self, picks: u64, probing: &Probing, now: Time) -> usize {
        let new = picks.wrapping_sub(self.picks) as f64;
        self.picks = picks;
        self.owed = (self.owed + new * probing.rate).min(2.0 * probing.pool as f64);
        let mut due = self.owed as usize;
        self.owed -= due as f64;
        if due == 0 && self.last.is_none_or(|last| now.since(last) >= probing.idle) {
            due = 1;
        }
        if due > 0 {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::SeededRandom;
    use proptest::prelude::*;

    fn after(millis: u64) -> Time {
        Time::after_origin(Duration::from_millis(millis))
    }

    #[test]
    fn the_budget_is_that_of_the_paper() {
        let probing = Probing::DEFAULT;
        let reuse = |n| probing.reuse(n);
        // (1 + 1) / ((1 − 16/100) · 3 − 1) = 2 / 1.52
        assert!((reuse(100).unwrap() - 2.0 / 1.52).abs() < 1e-12);
        assert!((reuse(32).unwrap() - 4.0).abs() < 1e-12);
        assert!((reuse(1_000_000).unwrap() - 1.0).abs() < 1e-4);
        assert_eq!((reuse(24), reuse(16), reuse(2)), (None, None, None), "no bound");
        // At least once, however much is probed.
        assert_eq!(Probing { rate: 10.0, ..probing }.reuse(100), Some(1.0));
        assert_eq!(Probing { rate: 1.0, ..probing }.reuse(100), None, "more is removed than comes");
    }

    #[test]
    fn a_budget_is_rounded_by_chance() {
        let random = SeededRandom::new(5);
        let drawn: Vec<u8> = (0..10_000).map(|_| Probing::DEFAULT.uses(100, &random)).collect();
        assert!(drawn.iter().all(|uses| [1, 2].contains(uses)));
        let mean = drawn.iter().map(|uses| f64::from(*uses)).sum::<f64>() / 10_000.0;
        assert!((mean - 2.0 / 1.52).abs() < 0.02, "{mean}");
        assert_eq!(Probing::DEFAULT.uses(3, &random), NO_END);
    }

    #[test]
    fn who_has_room_for_all_forgets_nobody() {
        let removes = |n| Probing::DEFAULT.removes(n);
        assert!(!removes(16) && removes(17) && !Probing { remove_rate: 0.0, ..Probing::DEFAULT }.removes(17));
    }

    #[test]
    fn an_idle_service_is_probed_slowly_and_a_crowd_is_not_caught_up_on() {
        let (mut pace, probing) = (Pace::default(), Probing::DEFAULT);
        let idle: Vec<_> = (0..8).map(|i| pace.due(0, &probing, after(1_000 + 100 * i))).collect();
        assert_eq!(idle, [1, 0, 0, 1, 0, 0, 1, 0]);
        assert_eq!(pace.due(1_000, &probing, after(2_000)), 32);
        assert_eq!(pace.due(1_000, &probing, after(2_001)), 0);
        assert_eq!(pace.due(1_002, &probing, after(2_002)), 6);
    }

    proptest! {
        /// Never more than the rate allows, plus the idle ones; and never less while it keeps up.
        #[test]
        fn probes_follow_picks(
            rate in 0.0..5.0_f64,
            steps in proptest::collection::vec((0..6_u64, 0..50_u64), 1..200),
        ) {
            let probing = Probing { rate, ..Probing::DEFAULT };
            let (mut pace, mut picks, mut now, mut sent) = (Pace::default(), 0, 0, 0.0);
            for (new, passes) in steps {
                (picks, now) = (picks + new, now + passes);
                sent += pace.due(picks, &probing, after(now)) as f64;
                let idle = now as f64 / 250.0 + 1.0;
                prop_assert!(sent <= rate * picks as f64 + idle + 1e-6);
                prop_assert!(sent > rate * picks as f64 - 1.0 - 1e-6);
            }
        }
    }
}
