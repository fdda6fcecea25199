//! The changes of state of a pool's instances: [`PoolHealth`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::book::{Book, Mode};
use super::gate::{ASIDE, AWAITED, EJECTED, HELD, KEPT, RAMP, SEATED, View};
use super::ramp::ramp;
use super::reason::EjectionReason;
use super::status::HealthState;
use crate::config::{HealthCheckConfig, OutlierDetection, ServiceConfig, SlowStart};
use crate::member::MemberState;
use crate::meters::Meters;
use crate::random::{RandomSource, SeededRandom};
use crate::signal::Signal;
use crate::time::Time;

/// The health of a pool's instances: the only one to change their states, under one lock.
#[derive(Debug)]
pub(crate) struct PoolHealth {
    pub(super) service: Arc<str>,
    pub(super) signal: Arc<Signal>,
    pub(super) meters: Arc<Meters>,
    pub(super) settings: ArcSwap<Settings>,
    book: Mutex<Book>,
    /// [`Mode`], for picks.
    mode: AtomicU8,
    /// When the last panic ended. Who was ejected before that is probed at once: in a panic everything seems to fail.
    amnesty: AtomicU64,
    /// Whether all instances are eased in, for picks.
    all_new: AtomicBool,
    /// When the running interval began; 0: none runs.
    pub(super) interval: AtomicU64,
    pub(super) random: SeededRandom,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) outliers: OutlierDetection,
    pub(super) slow_start: SlowStart,
    pub(super) health_check: HealthCheckConfig,
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

    pub(super) fn amnesty(&self) -> Time {
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
