//! One call, from the first pick to the answer or the error.

use std::sync::Arc;
use std::time::Duration;

use super::clock::EngineClock;
use super::directory::{Directory, Resolved};
use super::picked::{AttemptInfo, Picked, record};
use super::served::Served;
use super::service::Service;
use crate::error::{CallReport, Cause, Error, Unavailable};
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::member::{Lease, Member};
use crate::options::CallOptions;
use crate::plan::{AttemptLimit, Next, RetryPlan, Stop};
use crate::pool::{Measure, NoPick};
use crate::random::RandomSource;
use crate::registry::RegistryError;
use crate::strategy::{Interest, Outcome, OutcomeKind, PickRequest};
use crate::time::{Clock, Time};
use crate::trail::{Attempt, Trail, Why};

/// Whom a call is for.
pub(crate) enum Target<'a, I: ServiceInstance> {
    /// A service by its name.
    Name(&'a str),
    /// A service by its handle.
    Handle(&'a Service<I>),
}

impl<I: ServiceInstance> Clone for Target<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<I: ServiceInstance> Copy for Target<'_, I> {}

impl<I: ServiceInstance> Target<'_, I> {
    fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Handle(service) => service.name(),
        }
    }

    /// Does something with the service if it is in service already. No lock, no await.
    #[inline]
    fn with<R>(&self, directory: &Directory<I>, f: impl FnOnce(&Served<I>) -> R) -> Option<R> {
        match self {
            Self::Name(name) => directory.map().get(*name).map(|served| f(served)),
            Self::Handle(service) => service.served().map(|served| f(served)),
        }
    }

    async fn resolve(&self, directory: &Directory<I>) -> Result<Resolved<I>, RegistryError> {
        let resolved = directory.resolve(self.name()).await?;
        if let Self::Handle(service) = self {
            service.keep(&resolved);
        }
        Ok(resolved)
    }
}

/// A member that was picked, and what is wanted of the attempt.
pub(crate) struct Begun<I> {
    lease: Lease<I>,
    interest: Interest,
}

/// Whom the first pick found, or why nobody; `None`: others wait already.
type FirstPick<I> = Result<Begun<I>, Option<NoPick>>;

/// A call under way.
pub(crate) struct Call<'a, I: ServiceInstance> {
    directory: &'a Directory<I>,
    random: &'a dyn RandomSource,
    target: Target<'a, I>,
    hash_key: Option<u64>,
    cost: u64,
    clock: EngineClock,
    started: Time,
    trail: Trail,
    traced: bool,
}

/// Why a call ends without an answer, before it is put into words for the caller.
enum End {
    Stop(Stop),
    Overloaded(Option<Duration>),
    Registry(RegistryError),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<RegistryError> for End {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl<'a, I: ServiceInstance> Call<'a, I> {
    pub(crate) fn new<C>(
        directory: &'a Directory<I>,
        random: &'a dyn RandomSource,
        target: Target<'a, I>,
        options: &CallOptions<C>,
    ) -> Self {
        let clock = directory.clock();
        Self {
            directory,
            random,
            target,
            hash_key: options.hash_key,
            cost: options.cost,
            clock,
            started: clock.now(),
            trail: Trail::default(),
            traced: false,
        }
    }

    pub(crate) fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Runs the closure until it works or the plan says stop.
    pub(crate) async fn run<T, E, C, F, Fut>(
        &mut self,
        options: &CallOptions<C>,
        mut f: F,
    ) -> Result<T, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if let Err(error) = options.validate() {
            return Err(Error::InvalidOptions { error, call: Box::new(self.report(None)) });
        }
        let (mut plan, first) = match self.begin(options).await {
            Ok(first) => first,
            Err(end) => return Err(self.error(end, None)),
        };
        let (mut at, mut why) = (self.started, Why::First);
        let mut begun = match first {
            Ok(begun) => begun,
            Err(nobody) => match self.settle_for(&mut plan, nobody).await {
                Ok(begun) => {
                    at = self.clock.now();
                    begun
                }
                Err(end) => return Err(self.error(end, None)),
            },
        };
        loop {
            let member = Arc::clone(begun.lease.member());
            let ordinal = begun.lease.ordinal();
            let limit = plan.started(at);
            let info = AttemptInfo {
                started: at,
                ends_at: limit.map(|limit| limit.at),
                cost: self.cost,
                attempt: plan.attempts(),
            };
            let mut running = Running { member: &member, clock: self.clock, started: at, over: false };
            let picked = Picked::new(begun.lease, self.clock, info, true);
            let result = self.attempt(limit, f(picked)).await;
            let failure = match &result {
                Some(result) => options.classifier.classify(result),
                None => Some(Failure::timeout()),
            };
            running.over = true;
            let Some(failure) = failure else {
                let measured =
                    begun.interest.outcomes || self.traced || limit.is_some() || Measure::sampled(ordinal);
                self.succeeded(&member, at, measured, limit, why);
                return match result {
                    Some(Ok(value)) => Ok(value),
                    Some(Err(error)) => Err(self.error(Stop::Rejected.into(), Some(Cause::Error(error)))),
                    None => Err(self.error(Stop::Rejected.into(), Some(Cause::Response))),
                };
            };
            let now = self.clock.now();
            let cause = match result {
                Some(Err(error)) => Cause::Error(error),
                Some(Ok(_)) => Cause::Response,
                None => Cause::AttemptTimeout(now.since(at)),
            };
            let cut_short = matches!(cause, Cause::AttemptTimeout(_))
                && limit.is_some_and(|limit| limit.is_deadline)
                && !plan.deadline_is_timeout(now.since(at));
            self.failed(&member, failure, at, now, limit, why, cut_short);
            (begun, why) = match self.go_on(&mut plan, failure, &member, now).await {
                Ok(next) => next,
                Err(end) => return Err(self.error(end, Some(cause))),
            };
            at = self.clock.now();
        }
    }

    /// Picks once, waiting as long as the plan allows. For callers that run the request themselves.
    pub(crate) async fn pick<C>(
        &mut self,
        options: &CallOptions<C>,
    ) -> Result<Picked<I>, Error<std::convert::Infallible>> {
        if let Err(error) = options.validate() {
            return Err(Error::InvalidOptions { error, call: Box::new(self.report(None)) });
        }
        let picked = async {
            let (mut plan, begun) = self.begin(options).await?;
            let begun = match begun {
                Ok(begun) => begun,
                Err(why) => self.settle_for(&mut plan, why).await?,
            };
            Ok((plan, begun))
        };
        match picked.await {
            Ok((mut plan, begun)) => {
                let now = self.clock.now();
                Ok(self.hand_over(&mut plan, begun, now))
            }
            Err(end) => Err(self.error(end, None)),
        }
    }

    /// Picks at once or not at all.
    pub(crate) fn try_pick<C>(&mut self, options: &CallOptions<C>) -> Result<Picked<I>, NoPick> {
        let begun = self.target.with(self.directory, |served| {
            let mut plan = self.plan(served, options);
            let begun = self.acquire(served, &plan)?;
            Ok(self.hand_over(&mut plan, begun, self.started))
        });
        begun.unwrap_or(Err(NoPick::Unknown))
    }

    fn hand_over(&self, plan: &mut RetryPlan, begun: Begun<I>, now: Time) -> Picked<I> {
        let limit = plan.started(now);
        let ends_at = limit.map(|limit| limit.at);
        let info = AttemptInfo { started: now, ends_at, cost: self.cost, attempt: plan.attempts() };
        Picked::new(begun.lease, self.clock, info, false)
    }

    fn plan<C>(&self, served: &Served<I>, options: &CallOptions<C>) -> RetryPlan {
        let policy = options.resolve(served.pool().policy());
        RetryPlan::new(policy, self.started)
            .idempotent(options.idempotent)
            .wait_for_ready(options.wait_for_ready)
            .cost(options.cost)
    }

    /// The first pick. Without an await if the service is in service already.
    async fn begin<C>(&self, options: &CallOptions<C>) -> Result<(RetryPlan, FirstPick<I>), End> {
        let first = |served: &Served<I>| {
            served.touch();
            let plan = self.plan(served, options);
            // Who comes while others wait gets in line behind them.
            let begun =
                if served.queue.is_empty() { self.acquire(served, &plan).map_err(Some) } else { Err(None) };
            (plan, begun)
        };
        if let Some(begun) = self.target.with(self.directory, first) {
            return Ok(begun);
        }
        let served = self.target.resolve(self.directory).await?;
        Ok(first(&served))
    }

    #[inline]
    fn acquire(&self, served: &Served<I>, plan: &RetryPlan) -> Result<Begun<I>, NoPick> {
        let published = served.pool().published();
        let request = PickRequest { exclusions: plan.exclusions(), hash_key: self.hash_key, cost: self.cost };
        let lease = served.pool().acquire_from(&published, request, &self.clock, self.random)?;
        Ok(Begun { lease, interest: published.interest })
    }

    /// Awaits the attempt, up to its limit. `None`: it took too long.
    async fn attempt<T, E>(
        &self,
        limit: Option<AttemptLimit>,
        attempt: impl Future<Output = Result<T, E>>,
    ) -> Option<Result<T, E>> {
        match limit {
            None => Some(attempt.await),
            Some(limit) => tokio::time::timeout_at(self.clock.instant(limit.at), attempt).await.ok(),
        }
    }

    /// What the plan makes of a failure, up to the next member.
    async fn go_on(
        &self,
        plan: &mut RetryPlan,
        failure: Failure,
        member: &Arc<Member<I>>,
        now: Time,
    ) -> Result<(Begun<I>, Why), End> {
        let served = self.target.resolve(self.directory).await?;
        let next = plan.failed(failure, member, served.pool(), now, self.random);
        let why = if next == Next::Attempt { Why::Failover } else { Why::Retry };
        let begun = self.follow(plan, &served, next).await?;
        Ok((begun, why))
    }

    /// Nobody could be picked at the first try: what the plan makes of that.
    async fn settle_for(&self, plan: &mut RetryPlan, why: Option<NoPick>) -> Result<Begun<I>, End> {
        let served = self.target.resolve(self.directory).await?;
        let next = match why {
            Some(why) => plan.nobody(why, served.pool(), self.clock.now(), self.random),
            None => Next::LINE,
        };
        let begun = self.follow(plan, &served, next).await?;
        self.directory.adopt(&served);
        Ok(begun)
    }

    /// Does what the plan says until somebody is picked.
    async fn follow(
        &self,
        plan: &mut RetryPlan,
        served: &Served<I>,
        mut next: Next,
    ) -> Result<Begun<I>, End> {
        loop {
            match next {
                Next::Stop(stop) => return Err(stop.into()),
                Next::Attempt => {}
                Next::Wait { until, wakes: false } => {
                    tokio::time::sleep_until(self.clock.instant(until)).await
                }
                Next::Wait { wakes: true, .. } => {
                    next = match self.stand_in_line(plan, served).await? {
                        Ok(begun) => return Ok(begun),
                        Err(next) => next,
                    };
                    continue;
                }
            }
            next = if served.queue.is_empty() {
                match self.acquire(served, plan) {
                    Ok(begun) => return Ok(begun),
                    Err(why) => plan.nobody(why, served.pool(), self.clock.now(), self.random),
                }
            } else {
                Next::LINE
            };
        }
    }

    /// Waits in line for somebody to become available. `Ok(Err(next))`: the plan wants something else than to wait
    /// here.
    async fn stand_in_line(
        &self,
        plan: &mut RetryPlan,
        served: &Served<I>,
    ) -> Result<Result<Begun<I>, Next>, End> {
        let Some(ticket) = served.queue.enter(plan.policy().max_waiting) else {
            let now = self.clock.now();
            let at = served.pool().available_at(self.cost, now).filter(|at| *at != Time::MAX);
            return Err(End::Overloaded(at.map(|at| at.since(now))));
        };
        let gives_up = self.clock.instant(plan.gives_up_waiting_at(self.clock.now()));
        let turn = tokio::time::timeout_at(gives_up, ticket.turn()).await;
        let waiting = self.directory.context().signal.wait();
        loop {
            let news = waiting.notified();
            let why = if turn.is_ok() {
                match self.acquire(served, plan) {
                    Ok(begun) => return Ok(Ok(begun)),
                    Err(why) => why,
                }
            } else {
                NoPick::NoneEligible
            };
            match plan.nobody(why, served.pool(), self.clock.now(), self.random) {
                Next::Wait { until, wakes: true } if turn.is_ok() => {
                    // Whichever comes first; the timer is dropped with the select.
                    tokio::select! {
                        () = news => {}
                        () = tokio::time::sleep_until(self.clock.instant(until)) => {}
                    }
                }
                next => return Ok(Err(next)),
            }
        }
    }

    fn succeeded(
        &mut self,
        member: &Arc<Member<I>>,
        at: Time,
        measured: bool,
        limit: Option<AttemptLimit>,
        why: Why,
    ) {
        if !measured {
            crate::pool::succeeded(member);
            return;
        }
        let now = self.clock.now();
        let elapsed = now.since(at);
        let outcome = Outcome::success(elapsed).with_timeout(limit.map(|limit| limit.at.since(at)));
        // Through the directory: no reference count that all threads would write.
        self.target.with(self.directory, |served| served.pool().record(member, &outcome, now));
        if self.traced {
            self.trail.0.push(Attempt { instance: Arc::clone(member.id()), failure: None, elapsed, why });
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the facts of one failed attempt, used once")]
    fn failed(
        &mut self,
        member: &Arc<Member<I>>,
        failure: Failure,
        at: Time,
        now: Time,
        limit: Option<AttemptLimit>,
        why: Why,
        cut_short: bool,
    ) {
        let elapsed = now.since(at);
        // An attempt that the call's deadline cut off before it had a fair chance says nothing of the instance.
        let kind = if cut_short { OutcomeKind::Cancelled } else { OutcomeKind::Failure(failure) };
        let outcome = Outcome { kind, elapsed, timeout: limit.map(|limit| limit.at.since(at)) };
        record(member, &outcome, now);
        tracing::debug!(
            service = self.target.name(), instance = %member.id(), attempt = self.trail.len() + 1, %failure, ?elapsed,
            "attempt failed"
        );
        self.trail.0.push(Attempt {
            instance: Arc::clone(member.id()),
            failure: Some(failure),
            elapsed,
            why,
        });
    }

    /// The attempts so far.
    pub(crate) fn into_trail(self) -> Trail {
        self.trail
    }

    fn report<E>(&mut self, cause: Option<Cause<E>>) -> CallReport<E> {
        CallReport {
            service: self.target.name().into(),
            trail: std::mem::take(&mut self.trail),
            cause,
            elapsed: self.clock.now().since(self.started),
        }
    }

    /// Puts the end of a call into words.
    fn error<E>(&mut self, end: End, cause: Option<Cause<E>>) -> Error<E> {
        let call = Box::new(self.report(cause));
        let error = match end {
            End::Registry(error) => Error::Registry { error, call },
            End::Overloaded(retry_after) => Error::Overloaded { retry_after, call },
            End::Stop(Stop::Rejected) => return Error::Rejected { call },
            End::Stop(Stop::Unsuitable) => return Error::Unsuitable { call },
            End::Stop(Stop::NotIdempotent) => Error::NotIdempotent { call },
            End::Stop(Stop::MaxRetries) => Error::MaxRetriesExceeded { call },
            End::Stop(Stop::Deadline { retry_after }) => Error::DeadlineExceeded { retry_after, call },
            End::Stop(Stop::Resting { retry_after }) => {
                Error::NoAvailableInstance { reason: Unavailable::Resting, retry_after, call }
            }
            End::Stop(Stop::Nobody(why)) => {
                let reason = match why {
                    NoPick::Unknown => Unavailable::Unknown,
                    NoPick::Empty => Unavailable::Empty,
                    NoPick::Drained => Unavailable::Drained,
                    NoPick::NoneEligible => Unavailable::Resting,
                };
                Error::NoAvailableInstance { reason, retry_after: None, call }
            }
        };
        let call = error.call();
        tracing::warn!(service = %call.service, kind = error.kind(), attempts = %call.trail, elapsed = ?call.elapsed, "call gave up");
        error
    }
}

/// Records an attempt as cancelled if it is dropped, or panics, before it is over.
struct Running<'a, I: ServiceInstance> {
    member: &'a Arc<Member<I>>,
    clock: EngineClock,
    started: Time,
    over: bool,
}

impl<I: ServiceInstance> Drop for Running<'_, I> {
    fn drop(&mut self) {
        if !self.over {
            let now = self.clock.now();
            record(self.member, &Outcome::cancelled(now.since(self.started)), now);
        }
    }
}
