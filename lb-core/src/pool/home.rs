//! What the members of one pool have in common: [`Home`].

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::context::PoolContext;
use super::outcome::{self, Effect};
use super::published::Published;
use crate::health::PoolHealth;
use crate::limit::QuotaHint;
use crate::member::Member;
use crate::meters::Meters;
use crate::signal::Signal;
use crate::strategy::Outcome;
use crate::time::Time;

/// What the members of one pool have in common. An outcome is told here, so that whoever has a member need not look for
/// its pool: neither by name, nor by a reference count that all threads would write.
pub(crate) struct Home<I> {
    pub(crate) service: Arc<str>,
    pub(crate) signal: Arc<Signal>,
    pub(crate) health: PoolHealth,
    pub(crate) meters: Arc<Meters>,
    pub(crate) context: Arc<PoolContext<I>>,
    /// What picks read. It holds members, and members hold this: the [`Pool`](super::Pool) empties it when it goes.
    pub(crate) published: ArcSwap<Published<I>>,
}

impl<I: crate::ServiceInstance> Home<I> {
    /// See [`Pool::record`](super::Pool::record).
    pub(crate) fn record(&self, member: &Member<I>, outcome: &Outcome, now: Time) -> Effect {
        self.meters.attempt(outcome);
        let effect = outcome::apply(member, outcome, &self.context.groups, now);
        let published = self.published.load();
        if published.interest.outcomes {
            published.picker.on_outcome(member, &outcome.ended_at(now));
        }
        if outcome.is_success()
            && let Some(hedger) = &published.hedger
        {
            hedger.observe(outcome.elapsed);
        }
        if outcome.as_failure().is_some_and(|failure| failure.kind().is_fault()) && self.health.is_due(now) {
            self.tick(now);
        }
        effect
    }

    /// See [`Pool::tick`](super::Pool::tick).
    pub(crate) fn tick(&self, now: Time) {
        let published = self.published.load();
        self.health.tick(published.set.iter().map(|(_, member)| &**member.state()), now);
    }

    /// See [`Pool::hint`](super::Pool::hint).
    pub(crate) fn hint(&self, member: &Member<I>, hint: QuotaHint, now: Time) {
        member.quota_group_or_make(&self.context.groups).hint(hint, now);
    }
}
