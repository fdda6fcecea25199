//! What the members of one pool have in common: [`Home`].

use std::sync::{Arc, OnceLock};

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
    /// Told of each change of it.
    listener: OnceLock<Listener<I>>,
}

type Listener<I> = Box<dyn Fn(&Home<I>) + Send + Sync>;

impl<I> Home<I> {
    /// Nothing is published but `nobody`.
    pub(crate) fn new(
        service: Arc<str>,
        health: PoolHealth,
        meters: Arc<Meters>,
        context: Arc<PoolContext<I>>,
        nobody: &Arc<Published<I>>,
    ) -> Self {
        let (signal, published) = (Arc::clone(&context.signal), ArcSwap::new(Arc::clone(nobody)));
        Self { service, signal, health, meters, context, published, listener: OnceLock::new() }
    }

    /// Picks are made from this from now on.
    pub(crate) fn publish(&self, published: Published<I>) {
        self.published.store(Arc::new(published));
        if let Some(listener) = self.listener.get() {
            listener(self);
        }
    }

    /// Has `listener` told of each change of what is published, for who keeps a copy. Only the first one is. It is called
    /// where the change was made, maybe under locks of the registry.
    pub(super) fn on_publish(&self, listener: impl Fn(&Self) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }
}

impl<I: crate::ServiceInstance> Home<I> {
    /// See [`Pool::record`](super::Pool::record).
    pub(crate) fn record(&self, member: &Member<I>, outcome: &Outcome, now: Time) -> Effect {
        self.record_in(&self.published.load(), member, outcome, now)
    }

    /// The same with what was read already of what is published.
    pub(crate) fn record_in(
        &self,
        published: &Published<I>,
        member: &Member<I>,
        outcome: &Outcome,
        now: Time,
    ) -> Effect {
        self.meters.attempt(outcome);
        let effect = outcome::apply(member, outcome, &self.context.groups, now);
        if published.interest.outcomes {
            // Not copied if it says so already: it has just been written, in small pieces, and is copied in large ones.
            if outcome.at == now {
                published.picker.on_outcome(member, outcome);
            } else {
                published.picker.on_outcome(member, &outcome.ended_at(now));
            }
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
        self.health.tick(published.set.iter().map(|(_, seat)| seat.state()), now);
    }

    /// See [`Pool::hint`](super::Pool::hint).
    pub(crate) fn hint(&self, member: &Member<I>, hint: QuotaHint, now: Time) {
        member.quota_group_or_make(&self.context.groups).hint(hint, now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use crate::pool::{Pool, PoolContext};
    use crate::registry::{Entry, Revision, Snapshot};
    use crate::strategy::{Exclusions, Outcome, PickRequest};
    use crate::{Instance, ThreadRandom, Time};

    /// What is published holds the home, and the home what is published: the end of the pool must break that.
    #[test]
    fn nothing_outlives_the_pool_but_what_is_in_use() {
        let (now, nothing) = (Time::from_nanos(1), Exclusions::new());
        let pool = Pool::<Instance>::new("s", Arc::new(PoolContext::new()), now);
        let instances = ["a", "b"].map(|id| Arc::new(Instance::new(id)));
        let watched: Vec<Weak<Instance>> = instances.iter().map(Arc::downgrade).collect();
        let entry = |instance| Arc::new(Entry::<Instance>::new(instance, Revision::new(1)));
        let entries = instances.into_iter().map(entry).collect();
        pool.apply(move || Arc::new(Snapshot::new(entries, None, Revision::new(1))), now);
        let lease = pool.acquire(PickRequest::new(&nothing), &now, &ThreadRandom).unwrap();
        let alive = || watched.iter().filter(|instance| instance.strong_count() > 0).count();
        assert_eq!(alive(), 2);

        drop(pool);
        assert_eq!(alive(), 1, "the one that is in use");
        // Its outcome comes late, and is nobody's concern any more.
        let outcome = Outcome::success(std::time::Duration::from_millis(1));
        lease.member().home().record(lease.member(), &outcome, now);
        drop(lease);
        assert_eq!(alive(), 0);
    }
}
