//! Parts of a set, each with a picker of its own: [`Groups`].

use std::sync::Arc;

use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy,
};

/// The members of a set in groups, and within each whatever strategy is wrapped. There is at least one.
pub(crate) struct Groups<I>(Box<[Group<I>]>);

struct Group<I> {
    set: MemberSet<I>,
    picker: Box<dyn Picker<I>>,
}

impl<I: Send + Sync + 'static> Groups<I> {
    /// `previous` is what the picker of the group of that number shall carry on.
    pub(crate) fn new<'p>(
        set: &MemberSet<I>,
        groups: impl IntoIterator<Item = Vec<Slot>>,
        inner: &impl Strategy<I>,
        previous: impl Fn(usize) -> Option<&'p dyn Picker<I>>,
    ) -> Self {
        let groups = groups.into_iter().enumerate().map(|(i, slots)| {
            let set = set.subset(slots);
            Group { picker: inner.picker(&set, previous(i)), set }
        });
        Self(groups.collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn picker(&self, group: usize) -> &dyn Picker<I> {
        &*self.0[group].picker
    }

    /// What the group's members weigh together.
    pub(crate) fn weight(&self, group: usize) -> u64 {
        self.0[group].set.weights().total
    }

    /// What those of them weigh that a fresh call could pick.
    pub(crate) fn available_weight(&self, group: usize, candidates: &Candidates<'_, I>) -> u64 {
        let members = self.0[group].set.iter().map(|(_, seat)| seat);
        members.filter(|seat| candidates.is_available(seat)).map(|seat| u64::from(seat.weight())).sum()
    }

    #[inline]
    pub(crate) fn pick(&self, group: usize, candidates: &Candidates<'_, I>) -> Option<Slot> {
        self.0[group].picker.pick(candidates)
    }

    /// Tells the picker of the member's group; the first one if that group is gone, because what is noted of a member
    /// is noted with the member, and must not be left half done.
    pub(crate) fn on_start(&self, group: Option<usize>, member: &Member<I>) {
        self.0[group.unwrap_or(0)].picker.on_start(member);
    }

    /// As [`on_start`](Self::on_start).
    pub(crate) fn on_outcome(&self, group: Option<usize>, member: &Member<I>, outcome: &Outcome) {
        self.0[group.unwrap_or(0)].picker.on_outcome(member, outcome);
    }

    /// What any of them wants done beside picks.
    pub(crate) fn background(&self) -> Vec<Arc<dyn Background>> {
        self.0.iter().flat_map(|group| group.picker.background()).collect()
    }

    /// What any of them asks for.
    pub(crate) fn interest(&self) -> Interest {
        self.0.iter().map(|group| group.picker.interest()).fold(Interest::NONE, |all, one| Interest {
            starts: all.starts || one.starts,
            outcomes: all.outcomes || one.outcomes,
        })
    }
}
