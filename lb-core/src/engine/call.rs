//! One call, from the first pick to the answer or the error.
//!
//! The way of a call that works at once is kept short and its future small: what retries need is made, on the heap,
//! by the first failure (see `retry.rs`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::balancer::Inner;
use super::clock::EngineClock;
use super::picked::{AttemptInfo, Picked, record};
use super::retry::{End, Retry, Step};
use super::served::Served;
use super::target::Target;
use crate::error::{Cause, Error};
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::member::{Lease, Member};
use crate::options::CallOptions;
use crate::plan::AttemptLimit;
use crate::pool::{Measure, NoPick, Published};
use crate::strategy::{Exclusions, Interest, Outcome, PickRequest};
use crate::time::Clock;
use crate::trail::{Attempt, Trail, Why};

/// What all steps of a call need to know.
pub(crate) struct Call<'a, I: ServiceInstance, C> {
    pub(super) inner: &'a Inner<I>,
    pub(super) target: Target<'a, I>,
    pub(super) options: &'a CallOptions<C>,
    pub(super) started: Instant,
}

impl<I: ServiceInstance, C> Clone for Call<'_, I, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: ServiceInstance, C> Copy for Call<'_, I, C> {}

/// A member that was picked for an attempt.
pub(super) struct Begun<I> {
    pub(super) lease: Lease<I>,
    pub(super) interest: Interest,
    /// When the attempt begins.
    pub(super) at: Instant,
    pub(super) limit: Option<AttemptLimit>,
    pub(super) attempt: u32,
    pub(super) why: Why,
}

/// Nobody in line, nothing tried: what the first pick of every call leaves out.
static NOTHING: Exclusions = Exclusions::NONE;

impl<'a, I: ServiceInstance, C> Call<'a, I, C> {
    #[inline]
    pub(crate) fn new(inner: &'a Inner<I>, target: Target<'a, I>, options: &'a CallOptions<C>) -> Self {
        Self { inner, target, options, started: Instant::now() }
    }

    pub(super) fn clock(&self) -> EngineClock {
        self.inner.clock()
    }

    /// Runs the closure until it works or the plan says stop. With `trail`, the attempts of a success are told, too.
    pub(crate) async fn run<T, E, F, Fut>(self, trail: Option<&mut Trail>, mut f: F) -> Result<T, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let clock = self.clock();
        let mut retry: Option<Box<Retry<'_, I, C>>> = None;
        let mut begun = match self.first() {
            Some(Ok(begun)) => begun,
            nobody => {
                let retry = retry.insert(Box::new(Retry::new(self)));
                match Box::pin(retry.first(nobody.and_then(Result::err))).await {
                    Ok(begun) => begun,
                    Err(end) => return Err(retry.error(end, None)),
                }
            }
        };
        loop {
            let Begun { lease, interest, at, limit, attempt, why } = begun;
            let (member, ordinal) = (Arc::clone(lease.member()), lease.ordinal());
            let ends_at = limit.map(|limit| limit.at);
            let info = AttemptInfo { started: at, ends_at, cost: self.options.cost, attempt };
            let mut running = Running { member: &member, clock, started: at, over: false };
            let future = f(Picked::new(lease, clock, info, true));
            let result = match limit {
                None => Some(future.await),
                Some(limit) => tokio::time::timeout_at(clock.instant(limit.at), future).await.ok(),
            };
            let failure = match &result {
                Some(result) => self.options.classifier.classify(result),
                None => Some(Failure::timeout()),
            };
            running.over = true;
            drop(running);
            let Some(failure) = failure else {
                let traced = trail.is_some();
                if interest.outcomes
                    || traced
                    || limit.is_some()
                    || Measure::sampled(ordinal)
                    || member.state().gate().wants_success()
                {
                    let elapsed = self.succeeded(&member, at, limit);
                    if let Some(trail) = trail {
                        *trail = retry.take().map(|retry| retry.into_trail()).unwrap_or_default();
                        trail.0.push(Attempt {
                            instance: Arc::clone(member.id()),
                            failure: None,
                            elapsed,
                            why,
                        });
                    }
                }
                return match result {
                    Some(Ok(value)) => Ok(value),
                    // The classifier holds it to be no failure of the instance; the caller gets it all the same.
                    Some(Err(error)) => Err(self.rejected(retry, Some(Cause::Error(error)))),
                    None => Err(self.rejected(retry, None)),
                };
            };
            let now = clock.now();
            let cause = match result {
                Some(Err(error)) => Cause::Error(error),
                Some(Ok(_)) => Cause::Response,
                None => Cause::AttemptTimeout(now.since(clock.time(at))),
            };
            let retry = retry.get_or_insert_with(|| Box::new(Retry::after_first(self)));
            let timed_out = matches!(cause, Cause::AttemptTimeout(_));
            let step = Step { member, failure, at: clock.time(at), now, limit, why, timed_out };
            begun = match Box::pin(retry.next(step)).await {
                Ok(begun) => begun,
                Err(end) => return Err(retry.error(end, Some(cause))),
            };
        }
    }

    /// Picks once, waiting as long as the plan allows. For callers that run the request themselves.
    pub(crate) async fn pick(self) -> Result<Picked<I>, Error<Infallible>> {
        let begun = match self.first() {
            Some(Ok(begun)) => begun,
            nobody => {
                let mut retry = Box::new(Retry::new(self));
                match Box::pin(retry.first(nobody.and_then(Result::err))).await {
                    Ok(begun) => begun,
                    Err(end) => return Err(retry.error(end, None)),
                }
            }
        };
        Ok(self.hand_over(begun))
    }

    /// Picks at once or not at all.
    pub(crate) fn try_pick(self) -> Result<Picked<I>, NoPick> {
        match self.first() {
            Some(Ok(begun)) => Ok(self.hand_over(begun)),
            Some(Err(why)) => Err(why.unwrap_or(NoPick::NoneEligible)),
            None => Err(NoPick::Unknown),
        }
    }

    fn hand_over(&self, begun: Begun<I>) -> Picked<I> {
        let Begun { lease, at, limit, attempt, .. } = begun;
        let info = AttemptInfo {
            started: at,
            ends_at: limit.map(|limit| limit.at),
            cost: self.options.cost,
            attempt,
        };
        Picked::new(lease, self.clock(), info, false)
    }

    /// The first pick: no await, no lock, no allocation. `None`: the service is not in service yet, or the options
    /// are not valid; `Err(None)`: others wait already, and this call gets in line behind them.
    #[inline]
    fn first(&self) -> Option<Result<Begun<I>, Option<NoPick>>> {
        if self.options.validate().is_err() {
            return None;
        }
        self.target.with(&self.inner.directory, |served| {
            served.touch();
            if !served.queue.is_empty() {
                return Err(None);
            }
            let published = served.pool().published();
            let lease = self.acquire(served, &published, &NOTHING).map_err(Some)?;
            let (interest, at) = (published.interest, self.started);
            let limit = match self.options.times(&published.policy) {
                (None, None) => None,
                (timeout, deadline) => {
                    let now = self.clock().time(at);
                    AttemptLimit::new(timeout, deadline.map(|deadline| now + deadline), now)
                }
            };
            Ok(Begun { lease, interest, at, limit, attempt: 1, why: Why::First })
        })
    }

    #[inline]
    pub(super) fn acquire(
        &self,
        served: &Served<I>,
        published: &Published<I>,
        exclusions: &Exclusions,
    ) -> Result<Lease<I>, NoPick> {
        let request = PickRequest { exclusions, hash_key: self.options.hash_key, cost: self.options.cost };
        served.pool().acquire_from(published, request, self.inner.directory.clock_ref(), &self.inner.random)
    }

    fn succeeded(&self, member: &Arc<Member<I>>, at: Instant, limit: Option<AttemptLimit>) -> Duration {
        let (at, now) = (self.clock().time(at), self.clock().now());
        let elapsed = now.since(at);
        let outcome = Outcome::success(elapsed).with_timeout(limit.map(|limit| limit.at.since(at)));
        // Through the directory: no reference count that all threads would write.
        self.target.with(&self.inner.directory, |served| served.pool().record(member, &outcome, now));
        elapsed
    }

    #[cold]
    fn rejected<E>(&self, retry: Option<Box<Retry<'_, I, C>>>, cause: Option<Cause<E>>) -> Error<E> {
        let cause = cause.or(Some(Cause::Response));
        retry.unwrap_or_else(|| Box::new(Retry::after_first(*self))).error(End::rejected(), cause)
    }
}

/// Records an attempt as cancelled if it is dropped, or panics, before it is over.
struct Running<'a, I: ServiceInstance> {
    member: &'a Arc<Member<I>>,
    clock: EngineClock,
    started: Instant,
    over: bool,
}

impl<I: ServiceInstance> Drop for Running<'_, I> {
    fn drop(&mut self) {
        if !self.over {
            let now = self.clock.now();
            record(self.member, &Outcome::cancelled(now.since(self.clock.time(self.started))), now);
        }
    }
}
