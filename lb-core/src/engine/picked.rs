//! The instance that was picked, in the hands of whoever makes the request: [`Picked`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::terms::Terms;
use crate::failure::Failure;
use crate::instance::ServiceInstance;
use crate::limit::QuotaHint;
use crate::member::{Held, Member};
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
// In this order: see `Call::run`.
#[repr(C)]
pub struct Picked<I: ServiceInstance> {
    terms: Terms,
    held: Held<I>,
}

impl<I: ServiceInstance> Picked<I> {
    #[inline]
    pub(super) fn new(terms: Terms, held: Held<I>) -> Self {
        Self { terms, held }
    }

    #[inline]
    pub(super) fn member(&self) -> &Arc<Member<I>> {
        self.held.member()
    }

    fn now(&self) -> Time {
        self.terms.clock.now()
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
        self.terms.attempt
    }

    /// When the attempt will be ended: by `attempt_timeout` or by the call's deadline, whichever is first. Pass it on
    /// to servers that understand deadlines.
    pub fn deadline(&self) -> Option<Instant> {
        self.terms.limit().map(|limit| self.terms.clock.instant(limit.at))
    }

    /// How long the attempt may still take.
    pub fn time_left(&self) -> Option<Duration> {
        self.terms.limit().map(|limit| limit.at.since(self.now()))
    }

    /// The request turned out to use `actual` tokens of the quota, where `CallOptions::cost` had reserved an estimate.
    /// Call it once, when the answer says so.
    pub fn settle(&self, actual: u64) {
        if let Some(limiter) = self.member().quota_group().and_then(|group| group.limiter()) {
            limiter.settle(self.terms.cost, actual, self.now());
            self.member().signal().wake_waiting();
        }
    }

    /// The provider said how much quota is left (`x-ratelimit-remaining-*` and the like).
    pub fn hint(&self, hint: QuotaHint) {
        if hint.is_empty() {
            return;
        }
        self.member().home().hint(self.member(), hint, self.now());
        self.member().signal().wake_waiting();
    }

    /// The first byte of the answer (the first token of a stream) has arrived: taken into
    /// [`MemberState::first_byte`](crate::member::MemberState::first_byte).
    pub fn first_byte(&self) {
        self.member().state().observe_first_byte(self.now().since(self.terms.started));
    }

    /// The request failed, although the closure has returned an `Ok` (a stream that died), or it came from `pick`.
    /// Counts once; what comes after is ignored. The call is not retried: its answer is in the caller's hands.
    pub fn fail(&self, failure: Failure) {
        self.report(|elapsed| Outcome::failure(failure, elapsed));
    }

    /// The request succeeded. Only for who got this from `pick`.
    pub fn finish(self) {
        if !self.terms.supervised {
            self.report(Outcome::success);
        }
    }

    fn report(&self, outcome: impl FnOnce(Duration) -> Outcome) {
        if !self.terms.reported.swap(true, Ordering::Relaxed) {
            let now = self.now();
            let outcome = outcome(now.since(self.terms.started));
            record_attempt(self.member(), &outcome, Some(self.terms.attempt), now);
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
        if !self.terms.supervised {
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
            .field("attempt", &self.terms.attempt)
            .finish_non_exhaustive()
    }
}
