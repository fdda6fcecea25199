//! What an attempt is made under: [`Terms`].

use std::sync::atomic::AtomicBool;

use super::call::Call;
use super::clock::EngineClock;
use crate::instance::ServiceInstance;
use crate::plan::AttemptLimit;
use crate::time::Time;

/// What an attempt is made under: all that is known before anybody is picked for it, but for what ends it. Goes to the
/// closure with the instance.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) clock: EngineClock,
    pub(super) started: Time,
    /// [`Time::MAX`]: nobody ends it. An `Option` would take what the closure gets beyond one cache line.
    ends_at: Time,
    pub(super) cost: u64,
    pub(super) attempt: u32,
    ends_by_deadline: bool,
    /// Whether somebody else records the outcome: the engine, when the closure returns.
    pub(super) supervised: bool,
    pub(super) reported: AtomicBool,
}

impl Terms {
    /// An attempt that the engine supervises.
    #[inline]
    pub(super) fn new(
        clock: EngineClock,
        started: Time,
        limit: Option<AttemptLimit>,
        cost: u64,
        attempt: u32,
    ) -> Self {
        let (ends_at, ends_by_deadline) =
            limit.map_or((Time::MAX, false), |limit| (limit.at, limit.is_deadline));
        let reported = AtomicBool::new(false);
        Self { clock, started, ends_at, cost, attempt, ends_by_deadline, supervised: true, reported }
    }

    /// The first attempt of a call.
    #[inline]
    pub(super) fn first<I: ServiceInstance, C>(call: &Call<'_, I, C>) -> Self {
        Self::new(call.clock(), call.started, None, call.options.cost, 1)
    }

    /// The same for a caller that says itself how it ended.
    #[inline]
    pub(super) fn unsupervised(mut self) -> Self {
        self.supervised = false;
        self
    }

    #[inline]
    pub(super) fn limit(&self) -> Option<AttemptLimit> {
        (self.ends_at != Time::MAX)
            .then_some(AttemptLimit { at: self.ends_at, is_deadline: self.ends_by_deadline })
    }

    /// What ends it has been found out.
    pub(super) fn set_limit(&mut self, limit: Option<AttemptLimit>) {
        if let Some(limit) = limit {
            (self.ends_at, self.ends_by_deadline) = (limit.at, limit.is_deadline);
        }
    }
}
