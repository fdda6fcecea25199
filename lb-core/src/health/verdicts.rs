//! What outcomes of requests mean for the state of their instance: the part of [`PoolHealth`] that ejects and readmits.

use std::time::Duration;

use super::ejection::{ejection_time, remembered};
use super::gate::{ASIDE, EJECTED, HELD, KEPT, RAMP, SEATED, WATCHED};
use super::pool_health::PoolHealth;
use super::reason::EjectionReason;
use crate::config::OutlierDetection;
use crate::failure::FailureKind;
use crate::member::MemberState;
use crate::time::Time;

/// How long an instance is set aside after its first `Unusable` answer; doubles with each further one.
const SET_ASIDE: Duration = Duration::from_secs(60);
/// The longest it is set aside at a time.
const SET_ASIDE_MAX: Duration = Duration::from_secs(3600);

impl PoolHealth {
    /// A request that began at `began` succeeded. Call it only if the gate
    /// [wants to know](super::Gate::wants_success).
    #[cold]
    pub(crate) fn success(&self, state: &MemberState, began: Time, now: Time) {
        let gate = state.gate();
        let flags = gate.flags();
        if flags & HELD != 0 {
            // What began before it was left out proves nothing.
            if began > gate.since() {
                self.readmit_from(state, HELD, now, "a request succeeded");
            }
        } else if flags & (WATCHED | KEPT) != 0 {
            gate.forget_faults();
            if flags & KEPT != 0 {
                self.change(now, |book| {
                    let (before, after) = gate.change(0, KEPT);
                    book.enter(before, after);
                });
            }
        }
    }

    /// A request that began at `began` failed by a fault of the instance, which is counted already. Returns for how
    /// long the instance is ejected because of it.
    pub(crate) fn fault(&self, state: &MemberState, began: Time, now: Time) -> Option<Duration> {
        let config = self.settings.load().outliers;
        let gate = state.gate();
        if gate.flags() & HELD != 0 {
            return self.probe_failed(state, began, now, &config);
        }
        if !config.enabled {
            return None;
        }
        let mut track = state.track();
        if began < track.readmitted {
            return None;
        }
        let low = track.accrual.fault(state.counts(), now, &config);
        drop(track);
        let failures = gate.fault();
        let reason = match low {
            _ if config.consecutive_failures != 0 && failures >= config.consecutive_failures => {
                EjectionReason::ConsecutiveFailures { failures }
            }
            Some(tally) => EjectionReason::SuccessRate {
                success_percent: (tally.success_rate() * 100.0) as u32,
                requests: tally.requests,
            },
            None => return None,
        };
        self.eject(state, reason, now, &config)
    }

    /// A request that began at `began` was answered with `Unusable`. Returns for how long the instance is set aside,
    /// unless it was already when the request began.
    pub(crate) fn unusable(
        &self,
        state: &MemberState,
        retry_after: Option<Duration>,
        began: Time,
        now: Time,
    ) -> Option<Duration> {
        let gate = state.gate();
        let retry_after = retry_after.unwrap_or_default();
        let aside = self.change(now, |book| {
            if gate.flags() & ASIDE != 0 && began < gate.until(self.amnesty()) {
                // One of several that were under way: the others have said it already.
                if now + retry_after > gate.until(self.amnesty()) {
                    gate.hold(gate.since(), now + retry_after);
                }
                return None;
            }
            let mut track = state.track();
            let aside = SET_ASIDE * (1 << track.unusable_in_a_row.min(16));
            let aside = aside.min(SET_ASIDE_MAX).max(retry_after);
            track.unusable_in_a_row = track.unusable_in_a_row.saturating_add(1);
            gate.hold(now, now + aside);
            let (before, after) = gate.change(ASIDE, EJECTED | KEPT);
            book.enter(before, after);
            Some(aside)
        });
        gate.forget_faults();
        self.signal.wake_waiting();
        aside
    }

    /// A request that began at `began` ended in a way that says nothing of the instance's health.
    pub(crate) fn neutral(&self, state: &MemberState, kind: Option<FailureKind>, began: Time, now: Time) {
        let gate = state.gate();
        let held = gate.flags() & HELD;
        if held == 0 || began < gate.until(self.amnesty()) {
            return;
        }
        // Who turns a request down has understood it: it is up again.
        let answered = matches!(kind, Some(FailureKind::Rejected | FailureKind::Unsuitable));
        if answered && held == EJECTED {
            self.readmit_from(state, EJECTED, now, "it answers again");
        } else {
            gate.release_probe();
            self.signal.wake_waiting();
        }
    }

    fn probe_failed(
        &self,
        state: &MemberState,
        began: Time,
        now: Time,
        config: &OutlierDetection,
    ) -> Option<Duration> {
        let gate = state.gate();
        if began < gate.until(self.amnesty()) {
            return None;
        }
        if gate.flags() & ASIDE != 0 {
            return self.unusable(state, None, began, now);
        }
        let time = self.change(now, |_| {
            (gate.flags() & EJECTED != 0 && began >= gate.until(self.amnesty()))
                .then(|| self.hold(state, EjectionReason::Probe, now, config))
        });
        self.ejected(state, EjectionReason::Probe, time);
        time
    }

    pub(super) fn eject(
        &self,
        state: &MemberState,
        reason: EjectionReason,
        now: Time,
        config: &OutlierDetection,
    ) -> Option<Duration> {
        let gate = state.gate();
        let time = self.change(now, |book| {
            let flags = gate.flags();
            if flags & HELD != 0 || flags & SEATED == 0 {
                return None;
            }
            let time = book.may_eject(config).then(|| self.hold(state, reason, now, config));
            let (before, after) =
                if time.is_some() { gate.change(EJECTED, KEPT) } else { gate.change(KEPT, 0) };
            book.enter(before, after);
            time
        });
        self.ejected(state, reason, time);
        time
    }

    /// Begins the next ejection of an instance. Under the lock; the flag is the caller's.
    fn hold(
        &self,
        state: &MemberState,
        reason: EjectionReason,
        now: Time,
        config: &OutlierDetection,
    ) -> Duration {
        let mut track = state.track();
        let healthy =
            if reason == EjectionReason::Probe { Duration::ZERO } else { now.since(track.readmitted) };
        track.in_a_row = remembered(track.in_a_row, healthy, config).saturating_add(1);
        track.ejections += 1;
        track.reason = Some(reason);
        track.accrual.reset();
        let time = ejection_time(track.in_a_row, config, &self.random);
        state.gate().hold(now, now + time);
        state.gate().forget_faults();
        time
    }

    fn ejected(&self, state: &MemberState, reason: EjectionReason, time: Option<Duration>) {
        if let Some(time) = time {
            self.tell_ejected(state, reason, time);
        }
    }

    pub(super) fn tell_ejected(&self, state: &MemberState, reason: EjectionReason, time: Duration) {
        tracing::warn!(service = %self.service, instance = %state.id(), %reason, ?time, "instance ejected");
        self.meters.ejected(&reason);
        self.signal.wake_waiting();
    }

    pub(super) fn readmit_from(&self, state: &MemberState, from: u32, now: Time, reason: &'static str) {
        let gate = state.gate();
        let readmitted = self.change(now, |book| {
            let held = gate.flags() & (from | KEPT);
            if held == 0 {
                return false;
            }
            let mut track = state.track();
            track.readmitted = now;
            track.accrual.reset();
            if held & ASIDE != 0 {
                track.unusable_in_a_row = 0;
            }
            let eased_in = !self.settings.load().slow_start.window.is_zero() && book.left() > book.ramping;
            gate.begin_ramp(now);
            let (before, after) = gate.change(if eased_in { RAMP } else { 0 }, from | KEPT);
            book.enter(before, after);
            held & HELD != 0
        });
        gate.forget_faults();
        gate.release_probe();
        if readmitted {
            tracing::info!(service = %self.service, instance = %state.id(), reason, "instance readmitted");
            self.meters.readmitted();
            self.signal.wake_waiting();
        }
    }
}
