//! What becomes of instances that vanish: [`RemovalPolicy`], and the [`Window`] that it is applied to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Whether a crowd that vanishes is believed to be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmptyPolicy {
    /// No: they are kept as [`Suspect`](crate::registry::InstanceState::Suspect), chosen last, for a bounded time.
    #[default]
    Protect,
    /// Yes: the list in the store is the truth, also when it is empty.
    Trust,
}

/// When instances that vanish are kept, and for how long.
///
/// An instance leaves in one of two ways. Either somebody said so (it was deregistered, or its last word was that it
/// drains): then it is out at once, whoever else is there. Or it vanishes, because its lease ran out or because the
/// store has lost it. One that vanishes among many has probably died. When a crowd vanishes, or the last one, it is
/// more likely that the registry is at fault than all of them: then they are kept as suspects, which are chosen last,
/// and are dropped after [`grace`](Self::grace) if nobody has announced them again.
///
/// ```
/// use std::time::Duration;
/// use lb_core::registry::shared::{EmptyPolicy, RemovalPolicy};
///
/// let policy = RemovalPolicy::for_ttl(Duration::from_secs(15));
/// assert_eq!((policy.empty, policy.grace), (EmptyPolicy::Protect, Duration::from_secs(45)));
/// assert_eq!(RemovalPolicy::trust().empty, EmptyPolicy::Trust);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RemovalPolicy {
    /// Whether there is any protection. Default [`EmptyPolicy::Protect`].
    pub empty: EmptyPolicy,
    /// The share of a service's instances that may vanish within one window and be believed; 0 to 1. Default 0.15. With
    /// 0.15 and six instances or fewer, any that vanishes is kept for the grace, which does no harm: it is chosen last.
    pub share: f64,
    /// How long what vanishes is counted together. Default the time-to-live of announcements.
    pub window: Duration,
    /// How long a suspect is kept, while the store can be reached. Default three times the time-to-live.
    pub grace: Duration,
}

impl RemovalPolicy {
    /// The defaults for announcements that live for `ttl` without a sign of life.
    pub const fn for_ttl(ttl: Duration) -> Self {
        Self { empty: EmptyPolicy::Protect, share: 0.15, window: ttl, grace: ttl.saturating_mul(3) }
    }

    /// No protection: what vanishes is gone.
    pub const fn trust() -> Self {
        Self { empty: EmptyPolicy::Trust, ..Self::for_ttl(Duration::from_secs(15)) }
    }

    /// Sets whether there is any protection.
    #[must_use]
    pub const fn with_empty(mut self, empty: EmptyPolicy) -> Self {
        self.empty = empty;
        self
    }

    /// Sets the share that may vanish within one window; out of 0 to 1 it is taken as the nearer end.
    #[must_use]
    pub const fn with_share(mut self, share: f64) -> Self {
        self.share = if share > 1.0 {
            1.0
        } else if share >= 0.0 {
            share
        } else {
            0.0
        };
        self
    }

    /// Sets how long what vanishes is counted together.
    #[must_use]
    pub const fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a suspect is kept.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl Default for RemovalPolicy {
    /// For a time-to-live of 15 s.
    fn default() -> Self {
        Self::for_ttl(Duration::from_secs(15))
    }
}

/// How many of one service have vanished lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    start: Time,
    population: usize,
    vanished: usize,
}

impl Window {
    /// `vanished` of the `usable` instances vanish at `now`, together. Whether they are to be kept.
    pub(super) fn protects(
        &mut self,
        policy: &RemovalPolicy,
        vanished: usize,
        usable: usize,
        now: Time,
    ) -> bool {
        if vanished == 0 || policy.empty == EmptyPolicy::Trust {
            return false;
        }
        if self.population == 0 || now >= self.start + policy.window {
            *self = Self { start: now, population: usable, vanished: 0 };
        }
        // Who has come since the window began counts, too.
        self.population = self.population.max(usable + self.vanished);
        self.vanished += vanished;
        vanished >= usable || self.vanished as f64 > policy.share * self.population as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> RemovalPolicy {
        RemovalPolicy::for_ttl(10 * SECOND)
    }

    fn at(seconds: u32) -> Time {
        Time::ORIGIN + SECOND * seconds
    }

    #[test]
    fn a_few_of_many_are_believed() {
        let mut window = Window::default();
        assert!(!window.protects(&policy(), 10, 100, at(1)));
        assert!(!window.protects(&policy(), 5, 90, at(2)));
        assert!(window.protects(&policy(), 1, 85, at(3)), "16 of 100 within ten seconds");
        assert!(!window.protects(&policy(), 12, 84, at(11)), "a window of its own");
    }

    #[test]
    fn the_last_one_is_kept() {
        let everything = policy().with_share(1.0);
        assert!(Window::default().protects(&everything, 1, 1, at(1)));
        assert!(!Window::default().protects(&everything, 1, 2, at(1)));
        assert!(!Window::default().protects(&RemovalPolicy::trust(), 1, 1, at(1)));
    }

    #[test]
    fn a_service_that_grows_is_measured_by_what_it_has_become() {
        let mut window = Window::default();
        assert!(!window.protects(&policy(), 1, 10, at(1)));
        assert!(!window.protects(&policy(), 10, 100, at(2)));
    }

    #[test]
    fn a_share_out_of_range_is_the_nearer_end() {
        for (given, taken) in [(-1.0, 0.0), (f64::NAN, 0.0), (0.5, 0.5), (7.0, 1.0)] {
            assert!((policy().with_share(given).share - taken).abs() < 1e-9, "{given}");
        }
    }
}
