//! What a call does next: [`RetryPlan`], a state machine that knows neither clock nor runtime.
//!
//! Retrying is where load balancers do harm: too little leaves healthy instances untried, too much turns a hiccup into an
//! outage. So all of it is one value that tests and simulators can drive through years of bad days.

use std::time::Duration;

use crate::config::CallPolicy;
use crate::failure::{Failure, FailureKind, Scope};
use crate::instance::ServiceInstance;
use crate::member::Member;
use crate::pool::{NoPick, Pool, backoff};
use crate::random::RandomSource;
use crate::strategy::{Exclusions, Outcome};
use crate::time::Time;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Pick and try, now.
    Attempt,
    /// Wait until then (or, if `wakes`, until somebody may have become available), then pick and try.
    Wait {
        /// When to go on.
        until: Time,
        /// Whether news of an available instance ends the wait.
        wakes: bool,
    },
    /// Give up.
    Stop(Stop),
}

impl Next {
    /// Get in line with those who wait for somebody to become available.
    pub(crate) const LINE: Self = Self::Wait { until: Time::MAX, wakes: true };
}

/// Why a call gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The request's own fault.
    Rejected,
    /// No instance of this service can do it.
    Unsuitable,
    /// It may have been processed, and must not be repeated.
    NotIdempotent,
    /// All attempts are used up.
    MaxRetries,
    /// The deadline has passed, or would pass in the wait that is due.
    Deadline {
        /// How long the next attempt is away.
        retry_after: Option<Duration>,
    },
    /// There is nobody to try.
    Nobody(NoPick),
    /// Everybody that this round tries has failed, and the call has [somewhere else to go](RetryPlan::leaves_after_round).
    RoundOver,
    /// All instances are set aside as unusable: waiting would not help.
    Unusable {
        /// When the first one is probed again.
        retry_after: Option<Duration>,
    },
    /// Everybody rests for longer than `max_wait`.
    Resting {
        /// How long the next attempt is away; `None` if nobody knows.
        retry_after: Option<Duration>,
    },
}

/// What ends a running attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// When it ends.
    pub at: Time,
    /// Whether that is the call's deadline and not the attempt's own timeout.
    pub is_deadline: bool,
}

impl AttemptLimit {
    /// What ends an attempt that begins now: its own timeout or the call's deadline, whichever is first.
    #[inline]
    pub fn new(timeout: Option<Duration>, deadline: Option<Time>, now: Time) -> Option<Self> {
        match (timeout.map(|timeout| now + timeout), deadline) {
            (Some(at), Some(deadline)) if at < deadline => Some(Self { at, is_deadline: false }),
            (_, Some(deadline)) => Some(Self { at: deadline, is_deadline: true }),
            (Some(at), None) => Some(Self { at, is_deadline: false }),
            (None, None) => None,
        }
    }
}

/// The retry plan of one call: walks the instances, waits between rounds, keeps to the limits.
///
/// Its driver alternates: pick (leaving out [`exclusions`](Self::exclusions)) and run an attempt while it says
/// [`Next::Attempt`]; tell it [`failed`](Self::failed) or [`nobody`](Self::nobody); do what that returns.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use lb_core::plan::{Next, RetryPlan, Stop};
/// use lb_core::pool::{Pool, PoolContext};
/// use lb_core::registry::{Entries, Entry, Revision, Snapshot};
/// use lb_core::strategy::PickRequest;
/// use lb_core::{CallPolicy, Failure, Instance, SeededRandom, Time};
///
/// let (now, random) = (Time::after_origin(Duration::from_secs(1)), SeededRandom::new(7));
/// let pool = Pool::new("cart", Arc::new(PoolContext::new()), now);
/// let entries: Entries<Instance> =
///     ["a", "b"].map(|id| Arc::new(Entry::new(Instance::new(id), Revision::new(1)))).into_iter().collect();
/// let snapshot = Arc::new(Snapshot::new(entries, None, Revision::new(1)));
/// pool.apply(|| Arc::clone(&snapshot), now);
///
/// let mut policy = CallPolicy::default();
/// policy.max_retries = 1;
/// let mut plan = RetryPlan::new(policy, now);
/// for expected in [Next::Attempt, Next::Stop(Stop::MaxRetries)] {
///     let lease = pool.acquire(PickRequest::new(plan.exclusions()), &now, &random).unwrap();
///     plan.started(now);
///     assert_eq!(plan.failed(Failure::service(), lease.member(), &pool, now, &random), expected);
/// }
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent of each other")]
pub struct RetryPlan {
    policy: CallPolicy,
    idempotent: bool,
    wait_for_ready: bool,
    cost: u64,
    deadline: Option<Time>,
    attempts: u32,
    failovers: u32,
    waits: u32,
    exclusions: Exclusions,
    /// Since when this wait for somebody to become available lasts.
    waiting_since: Option<Time>,
    /// A fail-over that has a token from the budget but has not found anybody yet.
    holds_token: bool,
    /// Whether a round that has failed is followed by another service instead of another round.
    leaves_after_round: bool,
}

impl RetryPlan {
    /// The plan of a call that begins now.
    pub fn new(policy: CallPolicy, started: Time) -> Self {
        Self {
            deadline: policy.deadline.map(|deadline| started + deadline),
            policy,
            idempotent: true,
            wait_for_ready: false,
            cost: 1,
            attempts: 0,
            failovers: 0,
            waits: 0,
            exclusions: Exclusions::new(),
            waiting_since: None,
            holds_token: false,
            leaves_after_round: false,
        }
    }

    /// Whether the request may be repeated after a failure that leaves open whether it was processed.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Whether to wait for a service that has nobody yet.
    #[must_use]
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = wait;
        self
    }

    /// What the request costs of a quota counted in tokens.
    #[must_use]
    pub fn cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// Whether there is another service to go on with once everybody here has failed: the round then ends in
    /// [`Stop::RoundOver`] instead of a wait.
    pub fn leaves_after_round(&mut self, leaves: bool) {
        self.leaves_after_round = leaves;
    }

    /// The call goes on with another service: its delays and waits, but the call's own deadline and retries.
    pub fn move_on(&mut self, policy: CallPolicy) {
        let CallPolicy { max_retries, deadline, .. } = self.policy;
        self.policy = CallPolicy { max_retries, deadline, ..policy };
        self.exclusions.clear();
        self.failovers = 0;
        self.waits = 0;
        self.waiting_since = None;
        self.holds_token = false;
    }

    /// Leaves a member out for the rest of this round: an attempt on it is still running, or has failed beside another.
    pub fn leave_out<I>(&mut self, member: &Member<I>) {
        self.exclusions.exclude(member, false);
    }

    /// Whether the call may make another attempt at all, wherever.
    pub fn may_go_on(&self, now: Time) -> bool {
        self.attempts <= self.policy.max_retries && self.deadline.is_none_or(|deadline| now < deadline)
    }

    /// Whom this round has tried.
    pub fn exclusions(&self) -> &Exclusions {
        &self.exclusions
    }

    /// Attempts begun so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The call's deadline.
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The policy it goes by.
    pub fn policy(&self) -> &CallPolicy {
        &self.policy
    }

    /// A wait for somebody to become available begins, or goes on. Returns when it is given up.
    pub fn gives_up_waiting_at(&mut self, now: Time) -> Time {
        let give_up = *self.waiting_since.get_or_insert(now) + self.policy.max_wait;
        self.deadline.map_or(give_up, |deadline| deadline.min(give_up))
    }

    /// An attempt begins: somebody was picked. Returns what ends it.
    pub fn started(&mut self, now: Time) -> Option<AttemptLimit> {
        self.attempts += 1;
        self.waiting_since = None;
        self.holds_token = false;
        AttemptLimit::new(self.policy.attempt_timeout, self.deadline, now)
    }

    /// What a failed attempt counts as. `ended_by`: the limit that ended it, if it was not the instance that did.
    ///
    /// An attempt that the call's deadline cut off before it had a fair chance, which is half of the time that the whole
    /// call had, says nothing of the instance: it counts as cancelled.
    pub fn outcome(&self, failure: Failure, elapsed: Duration, ended_by: Option<AttemptLimit>) -> Outcome {
        let by_deadline = ended_by.is_some_and(|limit| limit.is_deadline);
        if by_deadline && self.policy.deadline.is_some_and(|deadline| elapsed * 2 < deadline) {
            Outcome::cancelled(elapsed)
        } else {
            Outcome::failure(failure, elapsed)
        }
    }

    /// The attempt on `member` failed.
    pub fn failed<I: ServiceInstance>(
        &mut self,
        failure: Failure,
        member: &Member<I>,
        pool: &Pool<I>,
        now: Time,
        random: &dyn RandomSource,
    ) -> Next {
        let kind = failure.kind();
        match kind {
            FailureKind::Rejected => return Next::Stop(Stop::Rejected),
            FailureKind::Unsuitable => return Next::Stop(Stop::Unsuitable),
            _ if !kind.is_retryable(self.idempotent) => return Next::Stop(Stop::NotIdempotent),
            _ if self.attempts > self.policy.max_retries => return Next::Stop(Stop::MaxRetries),
            _ => {}
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Next::Stop(Stop::Deadline { retry_after: None });
        }
        let with_group = kind == FailureKind::LimitExceeded && failure.scope() == Scope::QuotaGroup;
        self.exclusions.exclude(member, with_group);
        if self.failovers >= self.failover_cap(pool.len()) {
            return self.end_round(pool, now, random);
        }
        self.failovers += 1;
        if pool.budget().withdraw(now) {
            self.holds_token = true;
            Next::Attempt
        } else {
            // Paced: the round goes on, but at the pace of the backoff.
            self.wait(pool, now, random)
        }
    }

    /// Nobody could be picked.
    pub fn nobody<I: ServiceInstance>(
        &mut self,
        why: NoPick,
        pool: &Pool<I>,
        now: Time,
        random: &dyn RandomSource,
    ) -> Next {
        if self.holds_token {
            self.holds_token = false;
            pool.budget().refund();
        }
        if why == NoPick::NoneEligible && !self.exclusions.is_empty() {
            return match self.wait_for_untried(pool, now) {
                Some(wait) => wait,
                None => self.end_round(pool, now, random),
            };
        }
        if why == NoPick::NoneEligible
            && let Some(at) = pool.all_unusable(now)
        {
            return Next::Stop(Stop::Unusable { retry_after: Some(at.since(now)) });
        }
        let limit = self.gives_up_waiting_at(now);
        if why != NoPick::NoneEligible && !self.wait_for_ready {
            return Next::Stop(Stop::Nobody(why));
        }
        let at = pool.available_at(self.cost, now).unwrap_or(Time::MAX);
        let known = (at != Time::MAX).then(|| at.since(now));
        if let Some(deadline) = self.deadline
            && (now >= deadline || (at != Time::MAX && at >= deadline))
        {
            return Next::Stop(Stop::Deadline { retry_after: known });
        }
        if now >= limit || (at != Time::MAX && at > limit) {
            return Next::Stop(match why {
                NoPick::NoneEligible => Stop::Resting { retry_after: known },
                why => Stop::Nobody(why),
            });
        }
        // Somebody who is available and yet was not picked was taken by another call just now: look again soon.
        let until = if at <= now { now + LOOK_AGAIN } else { at.min(limit) };
        Next::Wait { until, wakes: true }
    }

    /// Where somebody whom this round has not tried will have room before the round would begin anew: waits for that.
    fn wait_for_untried<I: ServiceInstance>(&mut self, pool: &Pool<I>, now: Time) -> Option<Next> {
        let at = pool.untried_available_at(&self.exclusions, self.cost, now)?;
        let until = if at <= now { now + LOOK_AGAIN } else { at };
        let shortest_backoff = self.policy.retry_delay.mul_f64(1.0 - self.policy.jitter);
        if until > now + shortest_backoff || until >= self.gives_up_waiting_at(now) {
            return None;
        }
        Some(Next::Wait { until, wakes: true })
    }

    /// Everybody has had a try: go elsewhere if that is possible, else begin anew.
    fn end_round<I: ServiceInstance>(
        &mut self,
        pool: &Pool<I>,
        now: Time,
        random: &dyn RandomSource,
    ) -> Next {
        if self.leaves_after_round { Next::Stop(Stop::RoundOver) } else { self.next_round(pool, now, random) }
    }

    /// Wait, then begin anew with all.
    pub(crate) fn next_round<I: ServiceInstance>(
        &mut self,
        pool: &Pool<I>,
        now: Time,
        random: &dyn RandomSource,
    ) -> Next {
        self.exclusions.clear();
        self.failovers = 0;
        // Taken before the sleep, so that those who wake together have paid already; never a reason to fail.
        pool.budget().withdraw(now);
        self.wait(pool, now, random)
    }

    fn wait<I: ServiceInstance>(&mut self, pool: &Pool<I>, now: Time, random: &dyn RandomSource) -> Next {
        if let Some(at) = pool.all_unusable(now) {
            return Next::Stop(Stop::Unusable { retry_after: Some(at.since(now)) });
        }
        let until = now + backoff(&self.policy, self.waits, random);
        self.waits += 1;
        let available = pool.available_at(self.cost, now).filter(|at| *at != Time::MAX).unwrap_or(now);
        if available.since(now) > self.policy.max_wait {
            return Next::Stop(Stop::Resting { retry_after: Some(available.since(now)) });
        }
        let ready = until.max(available);
        if self.deadline.is_some_and(|deadline| ready >= deadline) {
            return Next::Stop(Stop::Deadline { retry_after: Some(ready.since(now)) });
        }
        Next::Wait { until, wakes: false }
    }

    fn failover_cap(&self, members: usize) -> u32 {
        let all = u32::try_from(members.saturating_sub(1)).unwrap_or(u32::MAX);
        self.policy.max_failovers_per_round.unwrap_or(if members <= 32 { all } else { 5 })
    }
}

/// How long to wait when somebody seems available but cannot be picked.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
