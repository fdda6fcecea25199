//! Choosing within a subset.

use std::sync::Arc;

use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, previous_as,
};

pub(super) struct SubsetPicker<I> {
    inner: Box<dyn Picker<I>>,
    spare: Spare<I>,
}

impl<I: Send + Sync + 'static> SubsetPicker<I> {
    pub(super) fn new(
        set: &MemberSet<I>,
        chosen: &[Slot],
        spare: &[Slot],
        inner: &impl Strategy<I>,
        previous: Option<&dyn Picker<I>>,
    ) -> Self {
        let subset = set.subset(chosen.iter().copied());
        Self { inner: inner.picker(&subset, Self::inner_of(previous)), spare: Spare::new(set, spare) }
    }

    /// What the inner strategy may carry on: its own picker, within a subset or of the time when there was none.
    pub(super) fn inner_of(previous: Option<&dyn Picker<I>>) -> Option<&dyn Picker<I>> {
        previous_as::<Self, I>(previous).map_or(previous, |before| Some(&*before.inner))
    }
}

impl<I: Send + Sync + 'static> Picker<I> for SubsetPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        self.inner.pick(candidates).or_else(|| self.spare.pick(candidates))
    }

    fn on_start(&self, member: &Member<I>) {
        self.inner.on_start(member);
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.inner.on_outcome(member, outcome);
    }

    fn interest(&self) -> Interest {
        self.inner.interest()
    }

    fn background(&self) -> Vec<Arc<dyn Background>> {
        self.inner.background()
    }
}

/// Who stands in when nobody of a subset is eligible: always the same few, so that not all members of the set get a
/// connection, and of those anybody, so that one does not get it all.
pub(crate) struct Spare<I> {
    next: MemberSet<I>,
    all: MemberSet<I>,
}

impl<I> Spare<I> {
    pub(crate) fn new(all: &MemberSet<I>, next: &[Slot]) -> Self {
        Self { next: all.subset(next.iter().copied()), all: all.clone() }
    }

    #[cold]
    pub(crate) fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        candidates.any_eligible(&self.next).or_else(|| candidates.any_eligible(&self.all))
    }
}
