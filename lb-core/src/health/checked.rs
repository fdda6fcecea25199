//! What active health checks say, joined with what requests show: [`Checked`].

use std::time::Duration;

use super::gate::{ASIDE, EJECTED, HELD, KEPT, SEATED};
use super::pool_health::PoolHealth;
use super::reason::EjectionReason;
use crate::config::HealthCheckConfig;
use crate::member::MemberState;
use crate::time::Time;

/// The checks of one instance, in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Whether the last check passed, and how many in a row did as it did. 0: none yet.
    passed: bool,
    in_a_row: u32,
}

/// What follows from a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: not enough checks in a row say so.
    Wait,
    /// It is not to be used.
    Down {
        /// How many checks in a row failed.
        failures: u32,
    },
    /// It can be used, as far as checks can tell.
    Up,
}

impl Checked {
    /// A check has ended. An instance that was never checked is used: who waits for the first check of all cannot
    /// serve meanwhile.
    pub(crate) fn take(&mut self, passed: bool, config: &HealthCheckConfig) -> Verdict {
        self.in_a_row = if passed == self.passed { self.in_a_row.saturating_add(1) } else { 1 };
        self.passed = passed;
        match passed {
            true if self.in_a_row >= config.healthy_threshold => Verdict::Up,
            false if self.in_a_row >= config.unhealthy_threshold => Verdict::Down { failures: self.in_a_row },
            _ => Verdict::Wait,
        }
    }
}

/// How long a "down" holds if no further check confirms it. Then requests probe, as after any ejection: a checker that
/// was stopped takes nobody out for good.
fn holds(config: &HealthCheckConfig) -> Duration {
    (config.interval.mul_f64(1.0 + config.jitter) + config.timeout).saturating_mul(3)
}

impl PoolHealth {
    /// A health check of an instance has ended.
    ///
    /// Checks take an instance out like ejections do, but whatever their number (`max_ejection_percent` is for guesses
    /// from requests; a panic still ignores both), and for as long as they fail. They bring back only whom they took
    /// out: that a connection can be made says little of the answers.
    pub(crate) fn checked(&self, state: &MemberState, passed: bool, now: Time) {
        let config = self.health_check();
        let verdict = state.track().checked.take(passed, &config);
        match verdict {
            Verdict::Wait => {}
            Verdict::Down { failures } => self.take_out(state, failures, now, now + holds(&config)),
            Verdict::Up => {
                let by_checks = matches!(state.track().reason, Some(EjectionReason::HealthCheck { .. }));
                if by_checks && state.gate().flags() & EJECTED != 0 {
                    self.readmit_from(state, EJECTED, now, "health checks pass");
                }
            }
        }
    }

    fn take_out(&self, state: &MemberState, failures: u32, now: Time, until: Time) {
        let (gate, reason) = (state.gate(), EjectionReason::HealthCheck { failures });
        let news = self.change(now, |book| {
            let flags = gate.flags();
            // Who says itself that it is unusable is out already, and for longer.
            if flags & ASIDE != 0 || flags & SEATED == 0 {
                return false;
            }
            let mut track = state.track();
            if flags & HELD != 0 {
                // What was an ejection for its requests goes on as one for its checks, not shorter than it was.
                track.reason = Some(reason);
                gate.hold(gate.since(), until.max(gate.until(Time::ORIGIN)));
                return false;
            }
            track.reason = Some(reason);
            track.ejections += 1;
            track.accrual.reset();
            drop(track);
            gate.hold(now, until);
            let (before, after) = gate.change(EJECTED, KEPT);
            book.enter(before, after);
            true
        });
        if news {
            gate.forget_faults();
            self.tell_ejected(state, reason, until.since(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Down, Up, Wait};
    use super::*;

    #[test]
    fn it_takes_some_in_a_row_to_change_anything() {
        let (mut checked, config) = (Checked::default(), HealthCheckConfig::DEFAULT);
        let verdicts: Vec<_> = [false, false, true, false, false, false, false, true, true]
            .map(|passed| checked.take(passed, &config))
            .into();
        let expected = [Wait, Wait, Wait, Wait, Wait, Down { failures: 3 }, Down { failures: 4 }, Wait, Up];
        assert_eq!(verdicts, expected);
    }
}
