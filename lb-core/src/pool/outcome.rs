//! What an outcome means for the instance: the table of [`FailureKind`]s, in code.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::failure::{Failure, FailureKind, Scope};
use crate::member::{Member, RestReason};
use crate::strategy::{Outcome, OutcomeKind};
use crate::time::Time;

/// How long an instance is set aside after its first `Unusable` answer; doubles with each further one.
const SET_ASIDE: Duration = Duration::from_secs(60);
/// The longest it is set aside at a time.
const SET_ASIDE_MAX: Duration = Duration::from_secs(3600);

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
}

/// Which attempts are measured although nobody needs their latency: all of the first 256, then one in sixteen. Enough
/// for statistics, and most calls save a clock read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure;

impl Measure {
    /// Whether to measure the attempt that was preceded by `ordinal` others on its instance.
    #[inline]
    pub(crate) const fn sampled(ordinal: u64) -> bool {
        ordinal < 256 || ordinal.is_multiple_of(16)
    }
}

/// Counts an outcome, and rests or sets aside whoever asked for it.
pub(crate) fn apply<I>(member: &Member<I>, outcome: &Outcome, now: Time) -> Effect {
    let state = member.state();
    match &outcome.kind {
        OutcomeKind::Success => {
            // A success shows that an instance is usable after all. Reads before it writes: the line is shared.
            if has_streak(member) {
                state.unusable_streak().store(0, Ordering::Relaxed);
            }
            state.observe_latency(outcome.elapsed);
            Effect::None
        }
        OutcomeKind::Cancelled => {
            state.count_cancelled();
            Effect::None
        }
        OutcomeKind::Failure(failure) => {
            state.count_failure(failure.kind());
            failed(member, *failure, now)
        }
    }
}

/// Whether the instance's last answers were that it is unusable, so that a success is news.
#[inline]
pub(crate) fn has_streak<I>(member: &Member<I>) -> bool {
    member.state().unusable_streak().load(Ordering::Relaxed) != 0
}

fn failed<I>(member: &Member<I>, failure: Failure, now: Time) -> Effect {
    match failure.kind() {
        FailureKind::LimitExceeded => {
            if let Some(limiter) = member.quota_group().and_then(|group| group.limiter()) {
                limiter.refused(failure.retry_after(), now);
            }
            rest(member, failure, now)
        }
        FailureKind::Service => rest(member, failure, now),
        FailureKind::Unusable => {
            let streak = member.state().unusable_streak().fetch_add(1, Ordering::Relaxed).min(16);
            let aside =
                (SET_ASIDE * (1 << streak)).min(SET_ASIDE_MAX).max(failure.retry_after().unwrap_or_default());
            member.rest(now + aside, false, RestReason::Unusable);
            Effect::SetAside(aside)
        }
        FailureKind::Timeout | FailureKind::Unreachable | FailureKind::Unsuitable | FailureKind::Rejected => {
            Effect::None
        }
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
