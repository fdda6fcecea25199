//! One call, from the first pick to the answer or the error.
//!
//! The way of a call that works at once is kept short and its future small: what retries need is made, on the heap,
//! by the first failure (see `retry.rs`).

use std::convert::Infallible;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::attempt::{Begun, Facts, Running, Taken};
use super::balancer::Inner;
use super::basis::Basis;
use super::clock::EngineClock;
use super::ending::End;
use super::hedge::race;
use super::limited::{Polled, poll_once, until};
use super::picked::Picked;
use super::retry::Retry;
use super::served::Served;
use super::target::Target;
use super::terms::Terms;
use crate::error::{Cause, Error};
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::member::{Lease, Slot};
use crate::options::CallOptions;
use crate::plan::AttemptLimit;
use crate::pool::{Measure, NoPick, Published};
use crate::strategy::{Candidates, Exclusions, PickRequest};
use crate::time::{Clock, Time};
use crate::trail::{Trail, Why};

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

/// Nobody in line, nothing tried: what the first pick of every call leaves out.
static NOTHING: Exclusions = Exclusions::NONE;

impl<'a, I: ServiceInstance, C> Call<'a, I, C> {
    /// A call that begins now.
    #[inline]
    pub(crate) fn new(inner: &'a Inner<I>, target: Target<'a, I>, options: &'a CallOptions<C>) -> Self {
        Self { inner, target, options, started: inner.clock().now() }
    }

    pub(super) fn clock(&self) -> EngineClock {
        self.inner.clock()
    }

    /// Runs the closure until it works or the plan says stop. With `trail`, the attempts of a success are told, too.
    ///
    /// What is written with small stores and read with large loads before it has reached the cache costs up to 5 ns each
    /// time, because the processor cannot forward such stores; and structs are moved with large loads. So this is not an
    /// `async fn`, which would move its arguments; what the first pick finds comes back in registers; what the closure gets
    /// is written before the pick, but for the instance; and results are looked at where they come.
    #[expect(clippy::manual_async_fn, reason = "an async fn moves its arguments once more")]
    pub(crate) fn run<T, E, F, Fut>(
        self,
        mut trail: Option<&mut Trail>,
        mut f: F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        async move {
            let mut retry: Option<Box<Retry<'_, I, C>>> = None;
            let (mut terms, mut basis, mut missed) = (Terms::first(&self), Basis::NONE, Missed::NotInService);
            let mut why = Why::First;
            let mut taken = if let Some(taken) = self.first(&mut terms, &mut basis, &mut missed) {
                taken
            } else {
                let retry = retry.insert(Box::new(Retry::new(self)));
                match Box::pin(retry.first(missed)).await {
                    Ok(begun) => {
                        (terms, why) = (begun.terms, begun.why);
                        begun.taken
                    }
                    Err(end) => return Err(retry.error(end, None)),
                }
            };
            loop {
                let Taken { held, facts } = taken;
                let (step, cause) = 'failed: {
                    let (clock, limit) = (terms.clock, terms.limit());
                    let mut polled = Running::new(basis.get(), &held, &terms, why);
                    let mut future = pin!(f(Picked::new(terms, held)));
                    // Nobody waits for what is there at the first poll: a reference to the instance, a timer, and the
                    // box for the way of a hedge are only made for those that have to wait.
                    let mut waiting = {
                        let polled_once = poll_once(future.as_mut()).await;
                        let failed = match &polled_once {
                            Poll::Ready(result) => {
                                polled.judge(&self, facts, result, retry.as_deref_mut(), &mut trail)
                            }
                            Poll::Pending => None,
                        };
                        match polled_once {
                            Poll::Pending => polled.into_owned(),
                            Poll::Ready(result) => match failed {
                                None => return self.answer(retry, result),
                                Some(step) => break 'failed (step, cause(result)),
                            },
                        }
                    };
                    basis.release();
                    let future = Polled::new(future);
                    let hedge_after = facts.has(Facts::HEDGED).then(|| self.hedge_after()).flatten();
                    let ended = if let Some(after) = hedge_after {
                        let race = Box::pin(race(self, &mut retry, waiting, future, &mut f, after));
                        let ended;
                        (waiting, ended) = race.await;
                        ended
                    } else {
                        match limit {
                            None => Some(future.await),
                            Some(limit) => until(clock.instant(limit.at), pin!(future)).await,
                        }
                    };
                    let Some(result) = ended else {
                        let step = waiting.end(Failure::timeout(), true);
                        let cause = Cause::AttemptTimeout(step.now.since(step.at));
                        break 'failed (step, cause);
                    };
                    match waiting.judge(&self, facts, &result, retry.as_deref_mut(), &mut trail) {
                        None => return self.answer(retry, result),
                        Some(step) => (step, cause(result)),
                    }
                };
                basis.release();
                let retry = retry.get_or_insert_with(|| Box::new(Retry::after_first(self)));
                Begun { taken, terms, why } = match Box::pin(retry.next(step)).await {
                    Ok(begun) => begun,
                    Err(end) => return Err(retry.error(end, Some(cause))),
                };
            }
        }
    }

    /// What the caller gets of what the closure returned, if that was no failure of the instance.
    #[inline]
    fn answer<T, E>(&self, retry: Option<Box<Retry<'_, I, C>>>, result: Result<T, E>) -> Result<T, Error<E>> {
        match result {
            Ok(value) => Ok(value),
            // The classifier holds it to be no failure of the instance; the caller gets it all the same.
            Err(error) => Err(self.rejected(retry, error)),
        }
    }

    /// Picks once, waiting as long as the plan allows. For callers that run the request themselves.
    pub(crate) async fn pick(self) -> Result<Picked<I>, Error<Infallible>> {
        let (mut terms, mut basis, mut missed) = (Terms::first(&self), Basis::NONE, Missed::NotInService);
        if let Some(taken) = self.first(&mut terms, &mut basis, &mut missed) {
            return Ok(Picked::new(terms.unsupervised(), taken.held));
        }
        let mut retry = Box::new(Retry::new(self));
        match Box::pin(retry.first(missed)).await {
            Ok(Begun { taken, terms, .. }) => Ok(Picked::new(terms.unsupervised(), taken.held)),
            Err(end) => Err(retry.error(end, None)),
        }
    }

    /// Picks at once or not at all.
    pub(crate) fn try_pick(self) -> Result<Picked<I>, NoPick> {
        let mut terms = Terms::first(&self).unsupervised();
        let (mut basis, mut missed) = (Basis::NONE, Missed::NotInService);
        match self.first(&mut terms, &mut basis, &mut missed) {
            Some(taken) => Ok(Picked::new(terms, taken.held)),
            None => Err(match missed {
                Missed::Nobody(why) => why,
                Missed::InLine => NoPick::NoneEligible,
                Missed::NotInService => NoPick::Unknown,
            }),
        }
    }

    /// The first pick: no await, no lock, no allocation. Puts what it was made from into `basis`, or into `missed` why there
    /// is nobody.
    #[inline(never)]
    fn first(&self, terms: &mut Terms, basis: &mut Basis<I>, missed: &mut Missed) -> Option<Taken<I>> {
        if self.options.validate().is_err() {
            return None;
        }
        match self.target {
            Target::Name(name) => {
                let found = self.inner.directory.get(name)?;
                let (slot, taken) = self.first_of(found.served(), found.published(), terms, missed)?;
                *basis = Basis::by_name(found, slot);
                Some(taken)
            }
            Target::Handle(service) => {
                let served = service.served()?;
                let published = served.published();
                let (slot, taken) = self.first_of(served, &published, terms, missed)?;
                *basis = Basis::by_handle(published, slot);
                Some(taken)
            }
        }
    }

    #[expect(clippy::inline_always, reason = "what it finds stays in registers: see `Call::run`")]
    #[inline(always)]
    fn first_of(
        &self,
        served: &Served<I>,
        published: &Published<I>,
        terms: &mut Terms,
        missed: &mut Missed,
    ) -> Option<(Slot, Taken<I>)> {
        served.touch();
        if !served.queue.is_empty() {
            *missed = Missed::InLine;
            return None;
        }
        let (slot, lease) = match self.acquire(served, published, &NOTHING, self.started) {
            Ok(acquired) => acquired,
            Err(why) => {
                *missed = Missed::Nobody(why);
                return None;
            }
        };
        let limited = match self.options.times(&published.policy) {
            (None, None) => false,
            (timeout, deadline) => {
                let deadline = deadline.map(|deadline| self.started + deadline);
                terms.set_limit(AttemptLimit::new(timeout, deadline, self.started));
                true
            }
        };
        Some((slot, self.take(lease, published, limited, 1)))
    }

    /// Picks at the time `now`, which its caller has just read for itself.
    #[inline]
    pub(super) fn acquire(
        &self,
        served: &Served<I>,
        published: &Published<I>,
        exclusions: &Exclusions,
        now: Time,
    ) -> Result<(Slot, Lease<I>), NoPick> {
        let request = PickRequest { exclusions, hash_key: self.options.hash_key, cost: self.options.cost };
        let candidates = Candidates::new(&published.set, request, &now, &self.inner.random);
        served.pool().acquire_from(published, &candidates)
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
        Taken { held: lease.into_held(), facts: Facts::new(measured, hedged) }
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

/// What a failed attempt gave its caller.
#[cold]
fn cause<T, E>(result: Result<T, E>) -> Cause<E> {
    result.map_or_else(Cause::Error, |_| Cause::Response)
}
