//! One call, from the first pick to the answer or the error.
//!
//! The way of a call that works at once is kept short and its future small: what retries need is made, on the heap,
//! by the first failure (see `retry.rs`).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::balancer::Inner;
use super::clock::EngineClock;
use super::ending::End;
use super::hedge::race;
use super::limited::{poll_once, until};
use super::picked::{Picked, record};
use super::retry::{Retry, Step};
use super::served::Served;
use super::target::Target;
use crate::error::{Cause, Error};
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::member::{Held, Lease, Member};
use crate::options::CallOptions;
use crate::plan::AttemptLimit;
use crate::pool::{Measure, NoPick, Published};
use crate::strategy::{Exclusions, Outcome, PickRequest};
use crate::time::{Clock, Time};
use crate::trail::{Attempt, Trail, Why};

/// What all steps of a call need to know.
pub(crate) struct Call<'a, I: ServiceInstance, C> {
    pub(super) inner: &'a Inner<I>,
    pub(super) target: Target<'a, I>,
    pub(super) options: &'a CallOptions<C>,
    pub(super) started: Time,
}

impl<I: ServiceInstance, C> Clone for Call<'_, I, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: ServiceInstance, C> Copy for Call<'_, I, C> {}

/// Who was picked, and what is to be kept in mind of it. 16 bytes, so that it comes back in registers.
pub(super) struct Taken<I: ServiceInstance> {
    held: Held<I>,
    /// Whether somebody wants to know of a success.
    measured: bool,
    /// Whether a second attempt may be made beside this one.
    hedged: bool,
    /// Whether something ends the attempt.
    limited: bool,
}

/// An attempt that begins.
pub(super) struct Begun<I: ServiceInstance> {
    taken: Taken<I>,
    started: Time,
    limit: Option<AttemptLimit>,
    attempt: u32,
    why: Why,
}

impl<I: ServiceInstance> Begun<I> {
    pub(super) fn new(
        taken: Taken<I>,
        started: Time,
        limit: Option<AttemptLimit>,
        attempt: u32,
        why: Why,
    ) -> Self {
        Self { taken, started, limit, attempt, why }
    }

    /// The instance for the closure, and what the engine keeps.
    #[inline]
    pub(super) fn start(self, clock: EngineClock, cost: u64) -> (Picked<I>, Running<I>) {
        let Self { taken, started, limit, attempt, why } = self;
        let member = Arc::clone(taken.held.member());
        let picked = Picked::new(taken.held, clock, started, limit, cost, attempt);
        (picked, Running { member, clock, started, limit, why, over: false })
    }
}

/// Nobody in line, nothing tried: what the first pick of every call leaves out.
static NOTHING: Exclusions = Exclusions::NONE;

impl<'a, I: ServiceInstance, C> Call<'a, I, C> {
    #[inline]
    pub(crate) fn new(inner: &'a Inner<I>, target: Target<'a, I>, options: &'a CallOptions<C>) -> Self {
        Self { inner, target, options, started: inner.clock().now() }
    }

    pub(super) fn clock(&self) -> EngineClock {
        self.inner.clock()
    }

    /// Runs the closure until it works or the plan says stop. With `trail`, the attempts of a success are told, too.
    ///
    /// What is written with small stores and then copied with large loads costs 5 ns each time, because the processor
    /// cannot forward such stores. So what the first pick finds comes back in registers, structs are made where they
    /// stay, and results are looked at where they come.
    pub(crate) async fn run<T, E, F, Fut>(
        inner: &'a Inner<I>,
        target: Target<'a, I>,
        options: &'a CallOptions<C>,
        trail: Option<&mut Trail>,
        mut f: F,
    ) -> Result<T, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let call = Self::new(inner, target, options);
        let mut retry: Option<Box<Retry<'_, I, C>>> = None;
        let mut begun = match call.first() {
            Ok(taken) => call.begun(taken),
            Err(missed) => {
                let retry = retry.insert(Box::new(Retry::new(call)));
                match Box::pin(retry.first(missed)).await {
                    Ok(begun) => begun,
                    Err(end) => return Err(retry.error(end, None)),
                }
            }
        };
        loop {
            let (limit, measured, hedged) = (begun.limit, begun.taken.measured, begun.taken.hedged);
            let clock = call.clock();
            let (picked, mut running) = begun.start(clock, options.cost);
            let (failure, cause) = 'failed: {
                let result = {
                    let mut future = pin!(f(picked));
                    // Nobody waits for what is there at the first poll: the timer of a hedge, and the box for its way,
                    // are only made for those that have to wait.
                    let polled = if hedged { poll_once(future.as_mut()).await } else { Poll::Pending };
                    if let Poll::Ready(result) = polled {
                        result
                    } else if let Some(after) = hedged.then(|| call.hedge_after()).flatten() {
                        let race = Box::pin(race(call, &mut retry, running, future, &mut f, after));
                        let result;
                        (running, result) = race.await;
                        match result {
                            Some(result) => result,
                            None => break 'failed (Failure::timeout(), None),
                        }
                    } else {
                        match limit {
                            None => future.await,
                            Some(limit) => match until(clock.instant(limit.at), future).await {
                                Some(result) => result,
                                None => break 'failed (Failure::timeout(), None),
                            },
                        }
                    }
                };
                if let Some(failure) = options.classifier.classify(&result) {
                    break 'failed (failure, Some(result.map_or_else(Cause::Error, |_| Cause::Response)));
                }
                running.over = true;
                if measured || trail.is_some() || running.member.state().gate().wants_success() {
                    running.succeeded(retry.as_deref_mut(), trail);
                }
                return match result {
                    Ok(value) => Ok(value),
                    // The classifier holds it to be no failure of the instance; the caller gets it all the same.
                    Err(error) => Err(call.rejected(retry, error)),
                };
            };
            running.over = true;
            let now = running.clock.now();
            let timed_out = cause.is_none();
            let cause = cause.unwrap_or_else(|| Cause::AttemptTimeout(now.since(running.at())));
            let retry = retry.get_or_insert_with(|| Box::new(Retry::after_first(call)));
            let step = running.failed(failure, now, timed_out);
            begun = match Box::pin(retry.next(step)).await {
                Ok(begun) => begun,
                Err(end) => return Err(retry.error(end, Some(cause))),
            };
        }
    }

    /// Picks once, waiting as long as the plan allows. For callers that run the request themselves.
    pub(crate) async fn pick(self) -> Result<Picked<I>, Error<Infallible>> {
        let begun = match self.first() {
            Ok(taken) => self.begun(taken),
            Err(missed) => {
                let mut retry = Box::new(Retry::new(self));
                match Box::pin(retry.first(missed)).await {
                    Ok(begun) => begun,
                    Err(end) => return Err(retry.error(end, None)),
                }
            }
        };
        Ok(self.unsupervised(begun))
    }

    /// Picks at once or not at all.
    pub(crate) fn try_pick(self) -> Result<Picked<I>, NoPick> {
        match self.first() {
            Ok(taken) => Ok(self.unsupervised(self.begun(taken))),
            Err(Missed::Nobody(why)) => Err(why),
            Err(Missed::InLine) => Err(NoPick::NoneEligible),
            Err(Missed::NotInService) => Err(NoPick::Unknown),
        }
    }

    fn unsupervised(&self, begun: Begun<I>) -> Picked<I> {
        let Begun { taken, started, limit, attempt, .. } = begun;
        Picked::new(taken.held, self.clock(), started, limit, self.options.cost, attempt).unsupervised()
    }

    /// The first attempt begins.
    #[inline]
    fn begun(&self, taken: Taken<I>) -> Begun<I> {
        let limit = if taken.limited { self.first_limit() } else { None };
        Begun { taken, started: self.started, limit, attempt: 1, why: Why::First }
    }

    /// What ends the first attempt.
    #[cold]
    fn first_limit(&self) -> Option<AttemptLimit> {
        let policy = self.target.with(&self.inner.directory, |served| served.published().policy);
        let (timeout, deadline) = self.options.times(&policy?);
        AttemptLimit::new(timeout, deadline.map(|deadline| self.started + deadline), self.started)
    }

    /// The first pick: no await, no lock, no allocation.
    #[inline(never)]
    fn first(&self) -> Result<Taken<I>, Missed> {
        if self.options.validate().is_err() {
            return Err(Missed::NotInService);
        }
        let taken = self.target.with(&self.inner.directory, |served| {
            served.touch();
            if !served.queue.is_empty() {
                return Err(Missed::InLine);
            }
            let published = served.published();
            let lease = self.acquire(served, &published, &NOTHING, self.started).map_err(Missed::Nobody)?;
            let limited = self.options.times(&published.policy) != (None, None);
            Ok(self.take(lease, &published, limited, 1))
        });
        taken.unwrap_or(Err(Missed::NotInService))
    }

    /// Picks at the time `now`, which its caller has just read for itself.
    #[inline]
    pub(super) fn acquire(
        &self,
        served: &Served<I>,
        published: &Published<I>,
        exclusions: &Exclusions,
        now: Time,
    ) -> Result<Lease<I>, NoPick> {
        let request = PickRequest { exclusions, hash_key: self.options.hash_key, cost: self.options.cost };
        served.pool().acquire_from(published, request, &now, &self.inner.random)
    }

    /// An attempt begins on the member that was acquired.
    #[inline]
    pub(super) fn take(
        &self,
        lease: Lease<I>,
        published: &Published<I>,
        limited: bool,
        attempt: u32,
    ) -> Taken<I> {
        let measured = published.interest.outcomes || limited || Measure::sampled(lease.ordinal());
        let hedged = match &published.hedger {
            Some(hedger) if attempt == 1 && self.options.idempotent => {
                hedger.deposit();
                true
            }
            _ => false,
        };
        let measured = measured || published.hedger.is_some();
        Taken { held: lease.into_held(), measured, hedged, limited }
    }

    /// After how long to hedge; `None`: not known yet.
    #[cold]
    fn hedge_after(&self) -> Option<Duration> {
        let hedger = self.target.with(&self.inner.directory, |served| served.published().hedger.clone());
        hedger.flatten()?.delay()
    }

    /// Counts a call that ends without an answer. Of names that nobody serves, only how often: callers may make up any.
    pub(super) fn count_error(&self, error: &'static str) {
        let counted = self.target.with(&self.inner.directory, |served| served.pool().meters().gave_up(error));
        if counted.is_none() {
            crate::meters::Meters::gave_up_nowhere(error);
        }
    }

    #[cold]
    fn rejected<E>(&self, retry: Option<Box<Retry<'_, I, C>>>, error: E) -> Error<E> {
        let cause = Some(Cause::Error(error));
        retry.unwrap_or_else(|| Box::new(Retry::after_first(*self))).error(End::rejected(), cause)
    }
}

/// Why the first pick picked nobody.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missed {
    /// The service is not in service yet, or the options are not valid.
    NotInService,
    /// Others wait already; this call gets in line behind them.
    InLine,
    /// There is nobody to pick.
    Nobody(NoPick),
}

/// What the engine keeps of an attempt. Records it as cancelled if it is dropped, or panics, before it is over.
pub(super) struct Running<I: ServiceInstance> {
    member: Arc<Member<I>>,
    clock: EngineClock,
    started: Time,
    limit: Option<AttemptLimit>,
    why: Why,
    over: bool,
}

impl<I: ServiceInstance> Running<I> {
    fn at(&self) -> Time {
        self.started
    }

    pub(super) fn member(&self) -> &Member<I> {
        &self.member
    }

    pub(super) fn limit(&self) -> Option<AttemptLimit> {
        self.limit
    }

    pub(super) fn id(&self) -> &str {
        self.member.id()
    }

    pub(super) fn service(&self) -> &str {
        self.member.service()
    }

    /// The attempt is over; what is done about it is the caller's.
    pub(super) fn end(mut self, failure: Failure, timed_out: bool) -> Step<I> {
        self.over = true;
        self.failed(failure, self.clock.now(), timed_out)
    }

    /// Takes a success in that somebody wants to know of.
    fn succeeded<C>(&self, retry: Option<&mut Retry<'_, I, C>>, trail: Option<&mut Trail>) {
        let (member, now) = (&self.member, self.clock.now());
        let elapsed = now.since(self.started);
        let timeout = self.limit.map(|limit| limit.at.since(self.started));
        member.home().record(member, &Outcome::success(elapsed).with_timeout(timeout), now);
        if let Some(trail) = trail {
            *trail = retry.map(Retry::take_trail).unwrap_or_default();
            trail.0.push(Attempt::new(member, None, elapsed, self.why));
        }
    }

    #[cold]
    fn failed(&self, failure: Failure, now: Time, timed_out: bool) -> Step<I> {
        let Self { ref member, limit, why, .. } = *self;
        Step { member: Arc::clone(member), failure, at: self.at(), now, limit, why, timed_out }
    }

    #[cold]
    fn cancelled(&self) {
        let now = self.clock.now();
        record(&self.member, &Outcome::cancelled(now.since(self.at())), now);
    }
}

impl<I: ServiceInstance> Drop for Running<I> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            self.cancelled();
        }
    }
}
