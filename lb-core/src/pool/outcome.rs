//! What an outcome means for the instance: the table of [`FailureKind`]s, in code.

use std::time::Duration;

use crate::failure::{Failure, FailureKind, Scope};
use crate::limit::{QuotaGroups, Refusal};
use crate::member::{Member, RestReason};
use crate::strategy::{Outcome, OutcomeKind};
use crate::time::Time;

/// What was done to an instance because of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing but counting.
    None,
    /// It (and its quota group, for a quota) rests for that long.
    Rested(Duration),
    /// It is set aside for that long; somebody should look at it.
    SetAside(Duration),
    /// It is ejected for that long.
    Ejected(Duration),
}

/// Which attempts are measured although nobody needs their latency: all of the first 256, then one in sixteen. Enough
/// for statistics, and most calls save a clock read. With metrics, all are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure;

impl Measure {
    /// Whether to measure the attempt that was preceded by `ordinal` others on its instance.
    #[inline]
    pub(crate) const fn sampled(ordinal: u64) -> bool {
        crate::meters::METERED || ordinal < 256 || ordinal.is_multiple_of(16)
    }
}

/// Counts an outcome, and rests or sets aside whoever asked for it.
pub(crate) fn apply<I>(member: &Member<I>, outcome: &Outcome, groups: &QuotaGroups, now: Time) -> Effect {
    let state = member.state();
    let began = now - outcome.elapsed;
    match &outcome.kind {
        OutcomeKind::Success => {
            if state.gate().wants_success() {
                member.health().success(state, began, now);
            }
            state.observe_latency(outcome.elapsed);
            Effect::None
        }
        OutcomeKind::Cancelled => {
            state.count_cancelled();
            member.health().neutral(state, None, began, now);
            Effect::None
        }
        OutcomeKind::Failure(failure) => {
            state.count_failure(failure.kind());
            failed(member, *failure, groups, began, now)
        }
    }
}

fn failed<I>(member: &Member<I>, failure: Failure, groups: &QuotaGroups, began: Time, now: Time) -> Effect {
    let (state, health, kind) = (member.state(), member.health(), failure.kind());
    if kind.is_fault() {
        let ejected = health.fault(state, began, now);
        let rested = if kind == FailureKind::Service { rest(member, failure, now) } else { Effect::None };
        return ejected.map_or(rested, Effect::Ejected);
    }
    if kind == FailureKind::Unusable {
        return health
            .unusable(state, failure.retry_after(), began, now)
            .map_or(Effect::None, Effect::SetAside);
    }
    health.neutral(state, Some(kind), began, now);
    match kind {
        FailureKind::LimitExceeded => {
            refused(member, failure, groups, began, now);
            rest(member, failure, now)
        }
        _ => Effect::None,
    }
}

/// Lets the quota group learn from a refusal. A narrower failure than that of the group teaches nothing: it says that the
/// others of the group have room.
fn refused<I>(member: &Member<I>, failure: Failure, groups: &QuotaGroups, began: Time, now: Time) {
    let group = member.quota_group_or_make(groups);
    if failure.scope() == Scope::Instance && group.is_shared() {
        return;
    }
    if group.refusal(Refusal::new(began, failure.retry_after()), now) {
        group.tell(member.service(), member.id(), now);
    }
}

fn rest<I>(member: &Member<I>, failure: Failure, now: Time) -> Effect {
    match failure.retry_after() {
        Some(after) if !after.is_zero() => {
            member.rest(now + after, failure.scope() == Scope::QuotaGroup, RestReason::RetryAfter);
            Effect::Rested(after)
        }
        _ => Effect::None,
    }
}
