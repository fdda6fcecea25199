//! One instance as it stands in the current set: [`Member`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::state::MemberState;
use crate::health::{Admission, PoolHealth, View};
use crate::limit::{QuotaGroup, QuotaGroups};
use crate::pool::Home;
use crate::registry::{Entry, InstanceState};
use crate::signal::Signal;
use crate::time::{LazyNow, Time};

/// One instance as it stands in the current set: the instance, its weight, and what is known of it. Immutable but for
/// the latter; a change of the instance or its override makes a new `Member` with the same [`MemberState`].
// In this order, so that what every request reads lies beside the reference counts, which it writes: among many members
// each cache line is a miss. And as large that the next member's are not on the same line, which requests on that one write.
#[repr(C)]
pub struct Member<I> {
    state: Arc<MemberState>,
    instance: Arc<I>,
    group: Option<Arc<QuotaGroup>>,
    suspect: bool,
    weight: u32,
    home: Arc<Home<I>>,
    entry: Arc<Entry<I>>,
    apart: [u64; 6],
}

impl<I: crate::ServiceInstance> Member<I> {
    pub(crate) fn new(
        entry: Arc<Entry<I>>,
        state: Arc<MemberState>,
        group: Option<Arc<QuotaGroup>>,
        home: Arc<Home<I>>,
    ) -> Self {
        Self {
            weight: entry.weight(),
            suspect: entry.state == InstanceState::Suspect,
            instance: Arc::clone(&entry.instance),
            state,
            group,
            home,
            entry,
            apart: [0; 6],
        }
    }
}

impl<I> Member<I> {
    /// The instance.
    #[inline]
    pub fn instance(&self) -> &I {
        &self.instance
    }

    /// The instance's id.
    #[inline]
    pub fn id(&self) -> &Arc<str> {
        self.state.id()
    }

    /// The weight in force. Members of a set have at least 1: those with 0 are left out.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The instance as the registry holds it.
    pub fn entry(&self) -> &Arc<Entry<I>> {
        &self.entry
    }

    /// What is known of the instance.
    #[inline]
    pub fn state(&self) -> &Arc<MemberState> {
        &self.state
    }

    /// Requests in flight; see [`MemberState::in_flight`].
    pub fn in_flight(&self) -> u64 {
        self.state.in_flight()
    }

    /// A strategy's own notes; see [`MemberState::ext`].
    pub fn ext<T: Default + Send + Sync + 'static>(&self) -> &T {
        self.state.ext()
    }

    /// Whether it vanished from the registry in a crowd: chosen last.
    #[inline]
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Its quota group, if it has one, or a quota of its own.
    #[inline]
    pub fn quota_group(&self) -> Option<&Arc<QuotaGroup>> {
        self.group.as_ref().or_else(|| self.state.quota())
    }

    /// The quota group that it declares, or that its own limits make.
    pub(crate) fn declared_group(&self) -> Option<&Arc<QuotaGroup>> {
        self.group.as_ref()
    }

    /// Its quota group, made if there is none yet: something is to be learned.
    pub(crate) fn quota_group_or_make(&self, groups: &QuotaGroups) -> &Arc<QuotaGroup> {
        match &self.group {
            Some(group) => group,
            None => self.state.quota_or_make(|| groups.on_demand(self.service(), self.id())),
        }
    }

    /// What is left of its quota, from 0 (nothing) to 1 (all, or no limit known).
    pub fn headroom(&self, now: Time) -> f64 {
        self.quota_group().map_or(1.0, |group| group.headroom(now))
    }

    /// Whether it takes no request of that cost at the moment: it is left alone, or a quota of its own has no room.
    /// `desperate`: ejections do not count. Asked only if its gate is not open.
    #[cold]
    pub(crate) fn is_barred(&self, cost: u64, now: &LazyNow<'_>, desperate: bool) -> bool {
        self.state.gate().bars(now.get(), self.view(desperate))
            || (self.group.is_none() && self.state.quota().is_some_and(|group| group.bars(cost, now)))
    }

    /// Lets a request in that is about to be counted: `None` if it is probed just now. Asked only if its gate is not open.
    #[cold]
    pub(crate) fn enter(&self, now: Time, desperate: bool) -> Option<Admission> {
        let admission = self.state.gate().enter(now, self.view(desperate), self.home.health.patience())?;
        if admission == Admission::Probe {
            tracing::debug!(service = %self.service(), instance = %self.id(), "instance is probed");
        }
        Some(admission)
    }

    fn view(&self, desperate: bool) -> View {
        let view = self.home.health.view();
        View { ignores_ejections: desperate || view.ignores_ejections, ..view }
    }

    /// The health of the pool that it is in.
    pub(crate) fn health(&self) -> &PoolHealth {
        &self.home.health
    }

    /// When it can be picked again: `now` or earlier if it can be picked at once.
    pub(crate) fn available_at(&self, cost: u64, now: Time) -> Time {
        let own = self.state.gate().available_at(now, self.view(false));
        self.quota_group().map_or(own, |group| own.max(group.available_at(cost, now)))
    }

    /// Leaves it alone until `until`, with its group if it has one and `with_group`.
    pub(crate) fn rest(&self, until: Time, with_group: bool, reason: super::RestReason) -> bool {
        match self.quota_group() {
            Some(group) if with_group => group.rest().extend(until, reason),
            _ => self.state.gate().rest(until, reason),
        }
    }

    /// How long it still rests, and why.
    pub(crate) fn resting(&self, now: Time) -> Option<(Duration, super::RestReason)> {
        let own = self.state.gate().resting(now, View { ignores_ejections: false, ..self.view(false) });
        let group = self.quota_group().and_then(|group| group.rest().get(now));
        own.into_iter()
            .chain(group)
            .max_by_key(|(until, _)| *until)
            .map(|(until, why)| (until.since(now), why))
    }

    /// The service.
    #[inline]
    pub fn service(&self) -> &Arc<str> {
        &self.home.service
    }

    #[inline]
    pub(crate) fn signal(&self) -> &Signal {
        &self.home.signal
    }

    /// What it has in common with the others of its pool.
    #[inline]
    pub(crate) fn home(&self) -> &Home<I> {
        &self.home
    }
}

impl<I> fmt::Debug for Member<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("id", &self.id())
            .field("weight", &self.weight)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instance;

    /// What requests write of one, and what they read of the next one, are never on the same line of 64 bytes.
    #[test]
    fn members_side_by_side_share_no_line() {
        let counts = 2 * size_of::<usize>();
        let hot = counts + std::mem::offset_of!(Member<Instance>, home);
        assert!(counts + size_of::<Member<Instance>>() >= hot + 64);
    }
}
