//! The instance that was picked, in the hands of whoever makes the request: [`Picked`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::clock::EngineClock;
use crate::failure::Failure;
use crate::instance::ServiceInstance;
use crate::limit::QuotaHint;
use crate::member::{Held, Member};
use crate::plan::AttemptLimit;
use crate::pool::Effect;
use crate::strategy::Outcome;
use crate::time::{Clock, Time};

/// The instance to use for one attempt. Derefs to your own type.
///
/// For as long as it lives the request counts as in flight. A response that streams should hold it until the stream
/// ends; put it into an `Arc` to share it. It is not `Clone`, because a request ends once.
///
/// Who got it in the closure of `execute` need not do anything with it: the outcome is what the closure returns. Who
/// got it from [`pick`](crate::LoadBalancer::pick) says how it ended: [`finish`](Self::finish) or
/// [`fail`](Self::fail); dropped without either it counts as cancelled.
#[must_use = "the request counts as in flight only while this lives"]
pub struct Picked<I: ServiceInstance> {
    held: Held<I>,
    clock: EngineClock,
    started: Time,
    /// [`Time::MAX`]: nobody ends it. An `Option` would take this struct, which is moved a few times per call, beyond
    /// one cache line.
    ends_at: Time,
    cost: u64,
    attempt: u32,
    /// Whether somebody else records the outcome: the engine, when the closure returns.
    supervised: bool,
    reported: AtomicBool,
}

impl<I: ServiceInstance> Picked<I> {
    /// An instance for an attempt that the engine supervises.
    #[inline]
    pub(super) fn new(
        held: Held<I>,
        clock: EngineClock,
        started: Time,
        limit: Option<AttemptLimit>,
        cost: u64,
        attempt: u32,
    ) -> Self {
        let ends_at = limit.map_or(Time::MAX, |limit| limit.at);
        let reported = AtomicBool::new(false);
        Self { held, clock, started, ends_at, cost, attempt, supervised: true, reported }
    }

    /// The same for a caller that says itself how it ended.
    pub(super) fn unsupervised(mut self) -> Self {
        self.supervised = false;
        self
    }

    #[inline]
    pub(super) fn member(&self) -> &Arc<Member<I>> {
        self.held.member()
    }

    fn ends_at(&self) -> Option<Time> {
        (self.ends_at != Time::MAX).then_some(self.ends_at)
    }

    /// The instance.
    #[inline]
    pub fn instance(&self) -> &I {
        self.member().instance()
    }

    /// The instance's id. (`ServiceInstance::id` through the deref gives the same.)
    pub fn id(&self) -> &str {
        self.member().id()
    }

    /// The service that the instance belongs to.
    pub fn service(&self) -> &str {
        self.member().service()
    }

    /// Which attempt of the call this is, from 1. Pass it on, so that retries do not multiply through layers.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the attempt will be ended: by `attempt_timeout` or by the call's deadline, whichever is first. Pass it on
    /// to servers that understand deadlines.
    pub fn deadline(&self) -> Option<Instant> {
        self.ends_at().map(|at| self.clock.instant(at))
    }

    /// How long the attempt may still take.
    pub fn time_left(&self) -> Option<Duration> {
        self.ends_at().map(|at| at.since(self.clock.now()))
    }

    /// The request turned out to use `actual` tokens of the quota, where `CallOptions::cost` had reserved an estimate.
    /// Call it once, when the answer says so.
    pub fn settle(&self, actual: u64) {
        if let Some(limiter) = self.member().quota_group().and_then(|group| group.limiter()) {
            limiter.settle(self.cost, actual, self.clock.now());
            self.member().signal().wake_waiting();
        }
    }

    /// The provider said how much quota is left (`x-ratelimit-remaining-*` and the like).
    pub fn hint(&self, hint: QuotaHint) {
        if hint.is_empty() {
            return;
        }
        self.member().home().hint(self.member(), hint, self.clock.now());
        self.member().signal().wake_waiting();
    }

    /// The first byte of the answer (the first token of a stream) has arrived: taken into
    /// [`MemberState::first_byte`](crate::member::MemberState::first_byte).
    pub fn first_byte(&self) {
        self.member().state().observe_first_byte(self.clock.now().since(self.started));
    }

    /// The request failed, although the closure has returned an `Ok` (a stream that died), or it came from `pick`.
    /// Counts once; what comes after is ignored. The call is not retried: its answer is in the caller's hands.
    pub fn fail(&self, failure: Failure) {
        self.report(|elapsed| Outcome::failure(failure, elapsed));
    }

    /// The request succeeded. Only for who got this from `pick`.
    pub fn finish(self) {
        if !self.supervised {
            self.report(Outcome::success);
        }
    }

    fn report(&self, outcome: impl FnOnce(Duration) -> Outcome) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            let now = self.clock.now();
            let outcome = outcome(now.since(self.started));
            record_attempt(self.member(), &outcome, Some(self.attempt), now);
        }
    }
}

/// Takes an outcome in.
pub(crate) fn record<I: ServiceInstance>(member: &Arc<Member<I>>, outcome: &Outcome, now: Time) {
    record_attempt(member, outcome, None, now);
}

/// The same, for events that tell which attempt of the call it was.
pub(crate) fn record_attempt<I: ServiceInstance>(
    member: &Arc<Member<I>>,
    outcome: &Outcome,
    attempt: Option<u32>,
    now: Time,
) {
    let cause = outcome.as_failure().map_or("none", |failure| failure.kind().as_str());
    match member.home().record(member, outcome, now) {
        // The pool's health tells of ejections itself.
        Effect::None | Effect::Ejected(_) => {}
        Effect::Rested(time) => {
            tracing::debug!(
                service = %member.service(), instance = %member.id(), attempt, cause, ?time, "instance rests"
            );
        }
        Effect::SetAside(time) => {
            tracing::warn!(
                service = %member.service(), instance = %member.id(), attempt, cause, ?time,
                "instance is unusable and set aside; check its key, its account and its deployment"
            );
        }
    }
}

impl<I: ServiceInstance> Drop for Picked<I> {
    #[inline]
    fn drop(&mut self) {
        if !self.supervised {
            self.report(Outcome::cancelled);
        }
    }
}

impl<I: ServiceInstance> Deref for Picked<I> {
    type Target = I;
    #[inline]
    fn deref(&self) -> &I {
        self.instance()
    }
}

impl<I: ServiceInstance> fmt::Debug for Picked<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picked")
            .field("service", &self.service())
            .field("instance", &self.id())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
