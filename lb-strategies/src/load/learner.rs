//! What a picker that learns has besides its own choice: [`Learner`].

use lb_core::strategy::{Candidates, Member, MemberSet, Outcome, Slot};

use super::fleet::{Fleet, HOT};
use super::track::{Memory, Track};
use super::urn::Urn;

/// A set, how to draw from it, what is usual in it, and how fast that is forgotten.
pub(crate) struct Learner<I> {
    pub(crate) set: MemberSet<I>,
    pub(crate) urn: Urn<I>,
    pub(crate) fleet: Fleet,
    pub(crate) memory: Memory,
    /// The part of members that is not hot.
    hot: f64,
}

impl<I> Learner<I> {
    pub(crate) fn new(set: &MemberSet<I>, memory: Memory) -> Self {
        Self::with_hot(set, memory, HOT)
    }

    /// The same where another part of the members is not hot.
    pub(crate) fn with_hot(set: &MemberSet<I>, memory: Memory, hot: f64) -> Self {
        Self { set: set.clone(), urn: Urn::new(set), fleet: Fleet::new(set, hot), memory, hot }
    }

    /// Learns from an outcome.
    #[inline]
    pub(crate) fn learn(&self, member: &Member<I>, outcome: &Outcome) {
        let (track, state) = (Track::of(member.state()), member.state());
        let before = track.observe(outcome, track.others(state), self.fleet.latency(), self.memory);
        self.fleet.ended(&self.set, before, self.hot, outcome.at);
    }

    /// A request is about to begin on the member in `slot`.
    #[inline]
    pub(crate) fn begin(candidates: &Candidates<'_, I>, slot: Slot) {
        if let Some(seat) = candidates.seat(slot)
            && seat.in_flight() == 0
        {
            Track::of(seat.state()).begin(seat.state(), candidates.now());
        }
    }
}
