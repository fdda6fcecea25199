//! What a call does after it did not work at once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::attempt::{Begun, Running};
use super::call::{Call, Missed};
use super::directory::Resolved;
use super::ending::End;
use super::follow::follow;
use super::picked::record_attempt;
use super::served::Served;
use crate::config::CallPolicy;
use crate::failure::Failure;
use crate::instance::ServiceInstance;
use crate::member::Member;
use crate::plan::{AttemptLimit, Next, RetryPlan, Stop};
use crate::strategy::Outcome;
use crate::time::{Clock, Time};
use crate::trail::{Attempt, Trail, Why};

/// A call that is waiting or trying again: the plan, and what was tried.
pub(super) struct Retry<'a, I: ServiceInstance, C> {
    pub(super) call: Call<'a, I, C>,
    /// Made when the service has been found: its policy is part of it.
    plan: Option<RetryPlan>,
    /// Whether the first attempt was made before there was a plan.
    first_made: bool,
    /// The fallback service that the call has gone on to.
    moved_to: Option<Arc<str>>,
    /// The fallback services that are left; `None`: not looked up yet.
    fallbacks: Option<VecDeque<Arc<str>>>,
    pub(super) trail: Trail,
}

/// The facts of an attempt that failed.
pub(super) struct Step<I> {
    pub(super) member: Arc<Member<I>>,
    pub(super) failure: Failure,
    pub(super) at: Time,
    pub(super) now: Time,
    pub(super) limit: Option<AttemptLimit>,
    pub(super) why: Why,
    pub(super) timed_out: bool,
}

impl<'a, I: ServiceInstance, C> Retry<'a, I, C> {
    /// A call that has made no attempt yet.
    pub(super) fn new(call: Call<'a, I, C>) -> Self {
        Self { call, plan: None, first_made: false, moved_to: None, fallbacks: None, trail: Trail::default() }
    }

    /// A call whose first attempt has just ended.
    pub(super) fn after_first(call: Call<'a, I, C>) -> Self {
        Self { first_made: true, ..Self::new(call) }
    }

    pub(super) fn take_trail(&mut self) -> Trail {
        std::mem::take(&mut self.trail)
    }

    /// Finds the service, in the registry if need be, and the plan that its policy makes.
    pub(super) async fn resolve(&mut self) -> Result<(Resolved<I>, &mut RetryPlan), End> {
        let Call { options, started, .. } = self.call;
        let served = self.find().await?;
        let first_made = self.first_made;
        let plan = self.plan.get_or_insert_with(|| {
            let policy = options.resolve(served.pool().policy());
            let mut plan = RetryPlan::new(policy, started)
                .idempotent(options.idempotent)
                .wait_for_ready(options.wait_for_ready)
                .cost(options.cost);
            if first_made {
                plan.started(started);
            }
            plan
        });
        Ok((served, plan))
    }

    /// Finds the service. The call's deadline ends that, too; as long as nobody knows what the service's configuration
    /// says, it is the caller's, or the balancer's default.
    async fn find(&self) -> Result<Resolved<I>, End> {
        let Call { inner, target, options, started } = self.call;
        let default = CallPolicy::of(&inner.directory.context().config);
        let found = async {
            match &self.moved_to {
                None => target.resolve(&inner.directory).await,
                Some(fallback) => inner.directory.resolve(fallback).await,
            }
        };
        let found = match options.times(&default) {
            (_, None) => found.await,
            (_, Some(deadline)) => {
                match tokio::time::timeout_at(inner.clock().instant(started + deadline), found).await {
                    Ok(found) => found,
                    Err(_) => return Err(Stop::Deadline { retry_after: None }.into()),
                }
            }
        };
        Ok(found?)
    }

    /// Finds somebody for the first attempt, where the first pick did not.
    pub(super) async fn first(&mut self, missed: Missed) -> Result<Begun<I>, End> {
        self.call.options.validate().map_err(End::InvalidOptions)?;
        let found = self.enter(missed, Why::First).await;
        self.or_fall_back(found).await
    }

    /// Finds somebody in a service that the call has just come to. `missed`: what a first pick there has
    /// shown.
    async fn enter(&mut self, missed: Missed, why: Why) -> Result<Begun<I>, End> {
        let call = self.call;
        let (served, _) = self.resolve().await?;
        let leaves = self.has_fallback(&served);
        let Some(plan) = &mut self.plan else { return Err(End::rejected()) };
        if why == Why::Fallback {
            plan.move_on(call.options.resolve(served.pool().policy()));
        }
        plan.leaves_after_round(leaves);
        let next = match missed {
            Missed::NotInService => Next::Attempt,
            Missed::InLine => Next::LINE,
            Missed::Nobody(nobody) => {
                plan.nobody(nobody, served.pool(), call.clock().now(), &call.inner.random)
            }
        };
        let begun = follow(call, plan, &served, next, why).await?;
        call.inner.directory.adopt(&served);
        Ok(begun)
    }

    /// Where this service has nobody left: goes on with the next fallback, as long as there is one. Where everybody here
    /// failed and no fallback has anybody either, the next round is here.
    async fn or_fall_back(&mut self, mut found: Result<Begun<I>, End>) -> Result<Begun<I>, End> {
        let here = self.moved_to.clone();
        let failed_here = matches!(found, Err(End::Stop(Stop::RoundOver)));
        while let Err(end) = &found
            && end.may_fall_back()
            && self.turn_to_fallback().await
        {
            let entered = self.enter(Missed::NotInService, Why::Fallback).await;
            match (&entered, &found) {
                // A fallback that has nobody either says less than what the call failed with before.
                (Err(End::Stop(Stop::Nobody(_)) | End::Registry(_)), Err(_)) => {}
                _ => found = entered,
            }
        }
        match found {
            Err(end) if failed_here && end.may_fall_back() => self.next_round(here).await,
            found => found,
        }
    }

    /// Begins anew in the service that the call was at, after no fallback had anybody.
    async fn next_round(&mut self, service: Option<Arc<str>>) -> Result<Begun<I>, End> {
        let call = self.call;
        self.moved_to = service;
        let (served, plan) = self.resolve().await?;
        plan.move_on(call.options.resolve(served.pool().policy()));
        plan.leaves_after_round(false);
        let next = plan.next_round(served.pool(), call.clock().now(), &call.inner.random);
        follow(call, plan, &served, next, Why::Retry).await
    }

    /// The fallback services that are left. `served`: where the call is.
    fn fallbacks(&mut self, served: &Served<I>) -> &mut VecDeque<Arc<str>> {
        let named = &self.call.options.fallbacks;
        self.fallbacks.get_or_insert_with(|| {
            if named.is_empty() { served.pool().fallbacks().into() } else { named.iter().cloned().collect() }
        })
    }

    fn has_fallback(&mut self, served: &Served<I>) -> bool {
        !self.fallbacks(served).is_empty()
    }

    /// Turns to the next fallback service. `false`: there is none, or the call may make no further attempt.
    async fn turn_to_fallback(&mut self) -> bool {
        let call = self.call;
        if self.fallbacks.is_none() {
            match self.resolve().await {
                Ok((served, _)) => _ = self.fallbacks(&served),
                Err(_) => self.fallbacks = Some(call.options.fallbacks.iter().cloned().collect()),
            }
        }
        if self.plan.as_ref().is_some_and(|plan| !plan.may_go_on(call.clock().now())) {
            return false;
        }
        let Some(fallback) = self.fallbacks.as_mut().and_then(VecDeque::pop_front) else { return false };
        tracing::debug!(service = call.target.name(), %fallback, "call goes on with a fallback service");
        self.moved_to = Some(fallback);
        true
    }

    /// Takes a failed attempt in, and finds somebody for the next one if there is to be one.
    pub(super) async fn next(&mut self, step: Step<I>) -> Result<Begun<I>, End> {
        let call = self.call;
        let (served, _) = self.resolve().await?;
        self.record(&step);
        let leaves = self.has_fallback(&served);
        let Some(plan) = &mut self.plan else { return Err(End::rejected()) };
        plan.leaves_after_round(leaves);
        let next = plan.failed(step.failure, &step.member, served.pool(), step.now, &call.inner.random);
        let why = if next == Next::Attempt { Why::Failover } else { Why::Retry };
        let found = follow(call, plan, &served, next, why).await;
        self.or_fall_back(found).await
    }

    /// Takes an attempt in that failed while another one is still running.
    pub(super) fn take_in(&mut self, mut running: Running<'_, I>, failure: Failure, timed_out: bool) {
        let step = running.end(failure, timed_out);
        self.record(&step);
        if let Some(plan) = &mut self.plan {
            plan.leave_out(&step.member);
        }
    }

    /// Tells the trail, the instance and the log of a failed attempt.
    fn record(&mut self, step: &Step<I>) {
        let elapsed = step.now.since(step.at);
        self.trail.0.push(Attempt::new(&step.member, Some(step.failure), elapsed, step.why));
        let ended_by = step.limit.filter(|_| step.timed_out);
        let outcome = match &self.plan {
            Some(plan) => plan.outcome(step.failure, elapsed, ended_by),
            None => Outcome::failure(step.failure, elapsed),
        };
        let outcome =
            outcome.with_timeout(step.limit.map(|limit| limit.at.since(step.at))).ended_at(step.now);
        let attempt = u32::try_from(self.trail.len()).unwrap_or(u32::MAX);
        record_attempt(&step.member, &outcome, Some(attempt), step.now);
        tracing::debug!(
            service = self.call.target.name(), instance = %step.member.id(), attempt,
            cause = step.failure.kind().as_str(), retry_after = ?step.failure.retry_after(), ?elapsed, "attempt failed"
        );
    }

    pub(super) fn call(&self) -> Call<'a, I, C> {
        self.call
    }
}
