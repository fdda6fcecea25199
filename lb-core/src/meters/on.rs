//! Metrics through the `metrics` facade.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{
    Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::failure::FailureKind;
use crate::health::{EjectionReason, HealthState};
use crate::pool::ServiceStats;
use crate::registry::Freshness;
use crate::strategy::{Outcome, OutcomeKind};
use crate::trail::Why;

const ATTEMPTS: &str = "loadbalance_attempt_duration_seconds";
const RETRIES: &str = "loadbalance_retries_total";
const ERRORS: &str = "loadbalance_call_errors_total";
const WAITS: &str = "loadbalance_wait_duration_seconds";
const EJECTIONS: &str = "loadbalance_ejections_total";
const READMISSIONS: &str = "loadbalance_readmissions_total";
const CHECKS: &str = "loadbalance_health_checks_total";
const INSTANCES: &str = "loadbalance_instances";
const IN_FLIGHT: &str = "loadbalance_in_flight";
const WAITING: &str = "loadbalance_waiting_calls";
const TOKENS: &str = "loadbalance_retry_tokens";
const PANIC: &str = "loadbalance_panic";
const STALE: &str = "loadbalance_registry_stale";

/// Tells the recorder what the metrics are. Once per balancer: whoever installs a recorder later has no descriptions.
pub(crate) fn describe() {
    describe_histogram!(ATTEMPTS, Unit::Seconds, "Attempts, from the pick of an instance to their end.");
    describe_counter!(RETRIES, "Attempts after the first one of a call.");
    describe_counter!(ERRORS, "Calls that ended without an answer.");
    describe_histogram!(WAITS, Unit::Seconds, "Time that calls stood in line for an instance.");
    describe_counter!(EJECTIONS, "Instances ejected.");
    describe_counter!(READMISSIONS, "Instances readmitted.");
    describe_counter!(CHECKS, "Health checks.");
    describe_gauge!(INSTANCES, "Instances by health state.");
    describe_gauge!(IN_FLIGHT, "Requests in flight.");
    describe_gauge!(WAITING, "Calls in line for an instance.");
    describe_gauge!(TOKENS, "What is left of the retry budget.");
    describe_gauge!(PANIC, "1 while too few instances are healthy.");
    describe_gauge!(STALE, "1 while the registry cannot reach its store.");
}

/// The metrics of one service. What every attempt touches is looked up once; the rest is rare.
pub(crate) struct Meters {
    service: SharedString,
    /// Looked up by the first attempt: a service that nobody serves is no time series.
    attempts: OnceLock<Attempts>,
    gauges: Mutex<Gauges>,
}

struct Attempts {
    ok: Histogram,
    failed: [Histogram; FailureKind::ALL.len()],
    cancelled: Histogram,
}

impl Attempts {
    #[cold]
    fn new(service: &SharedString) -> Self {
        let of = |outcome| histogram!(ATTEMPTS, "service" => service.clone(), "outcome" => outcome);
        Self {
            ok: of("ok"),
            failed: FailureKind::ALL.map(|kind| of(kind.as_str())),
            cancelled: of("cancelled"),
        }
    }
}

impl Meters {
    pub(crate) fn new(service: &str) -> Self {
        let service = SharedString::from_owned(service.to_owned());
        Self { service, attempts: OnceLock::new(), gauges: Mutex::default() }
    }

    fn count(&self, name: &'static str, label: &'static str, value: &'static str) {
        counter!(name, "service" => self.service.clone(), label => value).increment(1);
    }

    #[inline]
    pub(crate) fn attempt(&self, outcome: &Outcome) {
        let attempts = self.attempts.get_or_init(|| Attempts::new(&self.service));
        let histogram = match &outcome.kind {
            OutcomeKind::Success => &attempts.ok,
            OutcomeKind::Failure(failure) => &attempts.failed[failure.kind() as usize],
            OutcomeKind::Cancelled => &attempts.cancelled,
        };
        histogram.record(outcome.elapsed);
    }

    pub(crate) fn again(&self, why: Why) {
        if why != Why::First {
            self.count(RETRIES, "why", why.as_str());
        }
    }

    pub(crate) fn gave_up(&self, error: &'static str) {
        self.count(ERRORS, "error", error);
    }

    /// A call to a service that is not in service ended without an answer.
    pub(crate) fn gave_up_nowhere(error: &'static str) {
        counter!(ERRORS, "service" => "", "error" => error).increment(1);
    }

    pub(crate) fn waited(&self, time: Duration) {
        histogram!(WAITS, "service" => self.service.clone()).record(time);
    }

    pub(crate) fn ejected(&self, reason: &EjectionReason) {
        self.count(EJECTIONS, "reason", reason.as_str());
    }

    pub(crate) fn readmitted(&self) {
        counter!(READMISSIONS, "service" => self.service.clone()).increment(1);
    }

    pub(crate) fn checked(&self, passed: bool) {
        self.count(CHECKS, "result", if passed { "passed" } else { "failed" });
    }

    /// Brings the gauges up to date.
    pub(crate) fn publish(&self, stats: impl FnOnce() -> ServiceStats) {
        let stats = stats();
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states: BTreeMap<&'static str, usize> =
            HealthState::ALL.iter().map(|state| (state.as_str(), 0)).collect();
        for instance in stats.instances.iter().filter(|instance| instance.state.is_some()) {
            *states.entry(instance.health.as_str()).or_default() += 1;
        }
        for (state, n) in states {
            gauges.set(
                INSTANCES,
                state,
                n as f64,
                || gauge!(INSTANCES, "service" => self.service.clone(), "state" => state),
            );
        }
        let in_flight: u64 = stats.instances.iter().map(|instance| instance.in_flight).sum();
        let values = [
            (IN_FLIGHT, in_flight as f64),
            (WAITING, stats.waiting as f64),
            (TOKENS, stats.retry_tokens as f64),
            (PANIC, f64::from(u8::from(stats.panic))),
            (STALE, f64::from(u8::from(stats.freshness != Freshness::Live))),
        ];
        for (name, value) in values {
            gauges.set(name, "", value, || gauge!(name, "service" => self.service.clone()));
        }
    }
}

impl Drop for Meters {
    /// A service that is let go has nothing any more.
    fn drop(&mut self) {
        let gauges = self.gauges.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (gauge, value) in gauges.0.values() {
            gauge.decrement(*value);
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").field("service", &self.service).finish_non_exhaustive()
    }
}

/// What this service has added to which gauge: several balancers of one process add up.
#[derive(Default)]
struct Gauges(BTreeMap<(&'static str, &'static str), (Gauge, f64)>);

impl Gauges {
    fn set(&mut self, name: &'static str, label: &'static str, value: f64, gauge: impl FnOnce() -> Gauge) {
        let (gauge, before) = self.0.entry((name, label)).or_insert_with(|| {
            let gauge = gauge();
            // So that one which never leaves 0 is there, too.
            gauge.increment(0.0);
            (gauge, 0.0)
        });
        gauge.increment(value - *before);
        *before = value;
    }
}
