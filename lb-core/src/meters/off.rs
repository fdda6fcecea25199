//! No metrics.

use std::time::Duration;

use crate::health::EjectionReason;
use crate::pool::ServiceStats;
use crate::strategy::Outcome;
use crate::trail::Why;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Meters;

#[allow(clippy::unused_self)]
impl Meters {
    pub(crate) fn new(_service: &str) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn attempt(&self, _outcome: &Outcome) {}

    #[inline]
    pub(crate) fn again(&self, _why: Why) {}

    #[inline]
    pub(crate) fn gave_up(&self, _error: &'static str) {}

    #[inline]
    pub(crate) fn gave_up_nowhere(_error: &'static str) {}

    #[inline]
    pub(crate) fn waited(&self, _time: Duration) {}

    #[inline]
    pub(crate) fn ejected(&self, _reason: &EjectionReason) {}

    #[inline]
    pub(crate) fn readmitted(&self) {}

    #[inline]
    pub(crate) fn checked(&self, _passed: bool) {}

    #[inline]
    pub(crate) fn publish(&self, _stats: impl FnOnce() -> ServiceStats) {}
}
