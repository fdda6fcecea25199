//! The changes of state of a pool's instances: [`PoolHealth`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::book::{Book, Mode};
use super::detectors::{by_failure_percentage, by_success_rate};
use super::ejection::{ejection_time, remembered};
use super::gate::{ASIDE, AWAITED, EJECTED, HELD, KEPT, RAMP, SEATED, View, WATCHED};
use super::ramp::ramp;
use super::reason::EjectionReason;
use super::status::HealthState;
use crate::config::{HealthCheckConfig, OutlierDetection, ServiceConfig, SlowStart};
use crate::failure::FailureKind;
use crate::member::MemberState;
use crate::meters::Meters;
use crate::random::{RandomSource, SeededRandom};
use crate::signal::Signal;
use crate::time::Time;

/// How long an instance is set aside after its first `Unusable` answer; doubles with each further one.
const SET_ASIDE: Duration = Duration::from_secs(60);
/// The longest it is set aside at a time.
const SET_ASIDE_MAX: Duration = Duration::from_secs(3600);

/// The health of a pool's instances: the only one to change their states, under one lock.
#[derive(Debug)]
pub(crate) struct PoolHealth {
    service: Arc<str>,
    signal: Arc<Signal>,
    meters: Arc<Meters>,
    settings: ArcSwap<Settings>,
    book: Mutex<Book>,
    /// [`Mode`], for picks.
    mode: AtomicU8,
    /// When the last panic ended. Who was ejected before that is probed at once: in a panic everything seems to fail.
    amnesty: AtomicU64,
    /// Whether all instances are eased in, for picks.
    all_new: AtomicBool,
    /// When the running interval began; 0: none runs.
    interval: AtomicU64,
    random: SeededRandom,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    outliers: OutlierDetection,
    slow_start: SlowStart,
    health_check: HealthCheckConfig,
}

impl Settings {
    fn of(config: &ServiceConfig) -> Self {
        Self {
            outliers: config.outlier_detection(),
            slow_start: config.slow_start(),
            health_check: config.health_check(),
        }
    }
}

impl PoolHealth {
    pub(crate) fn new(
        service: Arc<str>,
        signal: Arc<Signal>,
        meters: Arc<Meters>,
        config: &ServiceConfig,
        seed: u64,
    ) -> Self {
        // Pools of one balancer shall not draw the same numbers.
        let seed =
            service.bytes().fold(seed, |seed, byte| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self {
            service,
            signal,
            meters,
            settings: ArcSwap::from_pointee(Settings::of(config)),
            book: Mutex::default(),
            mode: AtomicU8::new(Mode::Normal as u8),
            amnesty: AtomicU64::new(0),
            all_new: AtomicBool::new(true),
            interval: AtomicU64::new(0),
            random: SeededRandom::new(seed),
        }
    }

    // ---- what picks ask, off their fast way ----

    /// How ejections are seen at the moment.
    pub(crate) fn view(&self) -> View {
        View {
            ignores_ejections: self.mode.load(Ordering::Relaxed) == Mode::Panic as u8,
            amnesty: self.amnesty(),
        }
    }

    /// Where ejections and checks draw their random numbers from.
    pub(crate) fn chance(&self) -> &dyn RandomSource {
        &self.random
    }

    /// How instances are checked.
    pub(crate) fn health_check(&self) -> HealthCheckConfig {
        self.settings.load().health_check
    }

    fn amnesty(&self) -> Time {
        Time::from_nanos(self.amnesty.load(Ordering::Relaxed))
    }

    /// Whether ejections stay in force in a panic.
    pub(crate) fn fails_on_panic(&self) -> bool {
        self.settings.load().outliers.fail_on_panic
    }

    /// Whether all instances are ejected, and calls are to fail then.
    pub(crate) fn is_shut(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == Mode::PanicFails as u8 && self.book().left() == 0
    }

    /// How long a probe may take before another one is let in.
    pub(crate) fn patience(&self) -> Duration {
        self.settings.load().outliers.base_ejection_time
    }

    /// The share of its weight that an instance gets which is eased in.
    pub(crate) fn ramp(&self, state: &MemberState, now: Time) -> f64 {
        let config = self.settings.load().slow_start;
        let age = now.since(state.gate().ramp_began());
        if age >= config.window {
            let was_ramping = self.change(now, |book| {
                let (before, after) = state.gate().change(0, RAMP);
                book.enter(before, after);
                before & RAMP != 0
            });
            if was_ramping {
                tracing::debug!(service = %self.service, instance = %state.id(), ?age, "slow start is over");
            }
            return 1.0;
        }
        if self.all_new.load(Ordering::Relaxed) { 1.0 } else { ramp(age, &config) }
    }

    // ---- who is there ----

    /// Whether who comes now is eased in: somebody is there already to take the load.
    pub(crate) fn eases_in(&self) -> bool {
        let book = *self.book();
        !self.settings.load().slow_start.window.is_zero() && book.seated > book.ramping
    }

    /// An instance is in the set from now on.
    pub(crate) fn seat(&self, state: &MemberState, eased_in: bool, now: Time) {
        state.gate().begin_ramp(now);
        self.change(now, |book| {
            let (before, after) = state.gate().change(SEATED | if eased_in { RAMP } else { 0 }, AWAITED);
            book.enter(before, after);
        });
    }

    /// An instance is no longer in the set.
    pub(crate) fn unseat(&self, state: &MemberState, now: Time) {
        self.change(now, |book| {
            let (before, after) = state.gate().change(0, SEATED | RAMP | KEPT);
            book.enter(before, after);
        });
    }

    /// Forgets what is held against an instance: it is another one under the same id.
    pub(crate) fn pardon(&self, state: &MemberState, now: Time) {
        state.gate().pardon();
        state.track().pardon();
        self.change(now, |book| {
            let (before, after) = state.gate().change(0, HELD | KEPT);
            book.enter(before, after);
        });
    }

    /// Takes over a configuration. Returns whether some of those who are out are to be [readmitted](Self::readmit).
    pub(crate) fn configure(&self, config: &ServiceConfig, now: Time) -> bool {
        let settings = Settings::of(config);
        if **self.settings.load() == settings {
            return false;
        }
        self.settings.store(Arc::new(settings));
        self.change(now, |_| ());
        !(settings.outliers.enabled && settings.health_check.enabled)
    }

    /// Ends the ejection of an instance whatever it did, if what ejected it is switched off.
    pub(crate) fn readmit(&self, state: &MemberState, now: Time) {
        if state.gate().flags() & (EJECTED | KEPT) == 0 {
            return;
        }
        let by_checks = matches!(state.track().reason, Some(EjectionReason::HealthCheck { .. }));
        let settings = self.settings.load();
        if by_checks && !settings.health_check.enabled {
            self.readmit_from(state, EJECTED, now, "health checks were switched off");
        } else if !by_checks && !settings.outliers.enabled {
            self.readmit_from(state, EJECTED, now, "outlier detection was switched off");
        }
    }

    // ---- what outcomes mean ----

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

    fn eject(
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

    // ---- the detectors that compare ----

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

    // ---- what people ask ----

    /// Whether a panic is on.
    pub(crate) fn is_in_panic(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != Mode::Normal as u8
    }

    /// How many instances are ejected.
    pub(crate) fn ejected_now(&self) -> usize {
        self.book().ejected
    }

    /// How an instance is doing.
    pub(crate) fn status(&self, state: &MemberState, now: Time) -> HealthState {
        let flags = state.gate().flags();
        if flags & HELD != 0 && now >= state.gate().until(self.amnesty()) {
            HealthState::Probing
        } else if flags & ASIDE != 0 {
            HealthState::SetAside
        } else if flags & EJECTED != 0 {
            HealthState::Ejected
        } else if flags & KEPT != 0 {
            HealthState::Failing
        } else if flags & RAMP != 0 {
            HealthState::SlowStart
        } else {
            HealthState::Healthy
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes states under the lock, and draws the conclusion for the pool.
    pub(super) fn change<R>(&self, now: Time, f: impl FnOnce(&mut Book) -> R) -> R {
        let mut book = self.book();
        let result = f(&mut book);
        let mode = book.mode(&self.settings.load().outliers);
        let before = self.mode.swap(mode as u8, Ordering::Relaxed);
        let Book { seated, ejected, kept, ramping, .. } = *book;
        self.all_new.store(ramping >= seated, Ordering::Relaxed);
        drop(book);
        if before != mode as u8 {
            if mode == Mode::Normal {
                self.amnesty.store(now.as_nanos(), Ordering::Relaxed);
                tracing::info!(service = %self.service, instances = seated, ejected, "panic is over");
            } else {
                tracing::warn!(
                    service = %self.service, instances = seated, ejected, failing = kept,
                    ejections_ignored = (mode == Mode::Panic),
                    "panic: too few instances are healthy"
                );
            }
            self.signal.wake_waiting();
        }
        result
    }
}
