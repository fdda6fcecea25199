//! Whether a stream that may be silent for good reasons is still alive: [`Liveness`].

use std::time::Duration;

use crate::time::Time;

/// Keeps the time at which something was last heard: when to ask, and when to give up.
///
/// A watch on a quiet prefix and a watch on a dead server look the same. So who watches asks after `ask_after`
/// without a word, and takes the connection for dead after `dead_after`.
///
/// ```
/// use std::time::Duration;
/// use lb_core::Time;
/// use lb_core::registry::shared::Liveness;
///
/// let second = Duration::from_secs(1);
/// let mut liveness = Liveness::new(second, 3 * second, Time::ORIGIN);
/// assert_eq!(liveness.next_deadline(), Time::ORIGIN + second);
/// assert!(liveness.must_ask(Time::ORIGIN + second));
///
/// liveness.asked(Time::ORIGIN + second);
/// assert!(!liveness.must_ask(Time::ORIGIN + second));
/// assert!(liveness.is_dead(Time::ORIGIN + 3 * second));
/// liveness.heard(Time::ORIGIN + 3 * second);
/// assert!(!liveness.is_dead(Time::ORIGIN + 5 * second));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    ask_after: Duration,
    dead_after: Duration,
    heard: Time,
    asked: Time,
}

impl Liveness {
    /// Starts at `now`, as if something had just been heard.
    pub const fn new(ask_after: Duration, dead_after: Duration, now: Time) -> Self {
        Self { ask_after, dead_after, heard: now, asked: now }
    }

    /// Something was heard.
    pub fn heard(&mut self, now: Time) {
        self.heard = self.heard.max(now);
        self.asked = self.asked.max(now);
    }

    /// A sign of life was asked for.
    pub fn asked(&mut self, now: Time) {
        self.asked = self.asked.max(now);
    }

    /// Whether it is time to ask: nothing was heard or asked for `ask_after`.
    pub fn must_ask(&self, now: Time) -> bool {
        now >= self.asked + self.ask_after
    }

    /// Whether nothing was heard for `dead_after`.
    pub fn is_dead(&self, now: Time) -> bool {
        now >= self.heard + self.dead_after
    }

    /// When [`must_ask`](Self::must_ask) or [`is_dead`](Self::is_dead) turns true next.
    pub fn next_deadline(&self) -> Time {
        (self.asked + self.ask_after).min(self.heard + self.dead_after)
    }
}
