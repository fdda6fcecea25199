//! A member's place in a set: [`Seat`].

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::member::Member;
use super::state::MemberState;
use crate::health::Admission;
use crate::time::LazyNow;

/// A member's place in a [`MemberSet`](super::MemberSet): the [`Member`], which it derefs to, and beside it what picks
/// look at.
///
/// Where members are many each line of memory that a pick looks at is a cache miss. What is asked of the seat
/// ([`in_flight`](Self::in_flight), [`ext`](Self::ext), [`weight`](Self::weight), [`state`](Self::state)) is found
/// without going through the member.
pub struct Seat<I> {
    state: Arc<MemberState>,
    member: Arc<Member<I>>,
    weight: u32,
    /// Whether nothing but its state says whether it can be picked: it is neither suspect nor of a quota group.
    is_plain: bool,
}

impl<I> Clone for Seat<I> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), member: Arc::clone(&self.member), ..*self }
    }
}

impl<I> Deref for Seat<I> {
    type Target = Member<I>;
    #[inline]
    fn deref(&self) -> &Member<I> {
        &self.member
    }
}

impl<I> Seat<I> {
    pub(crate) fn new(member: Arc<Member<I>>) -> Self {
        Self {
            state: Arc::clone(member.state()),
            weight: member.weight(),
            is_plain: !member.is_suspect() && member.declared_group().is_none(),
            member,
        }
    }

    /// The member.
    #[inline]
    pub fn member(&self) -> &Arc<Member<I>> {
        &self.member
    }

    /// What is known of the instance.
    #[inline]
    pub fn state(&self) -> &MemberState {
        &self.state
    }

    /// The weight in force: at least 1.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// Requests in flight; see [`MemberState::in_flight`].
    #[inline]
    pub fn in_flight(&self) -> u64 {
        self.state.in_flight()
    }

    /// A strategy's own notes; see [`MemberState::ext`].
    #[inline]
    pub fn ext<T: Default + Send + Sync + 'static>(&self) -> &T {
        self.state.ext()
    }

    /// Whether it vanished from the registry in a crowd: chosen last.
    #[inline]
    pub fn is_suspect(&self) -> bool {
        !self.is_plain && self.member.is_suspect()
    }

    /// Whether it has a quota: that of a group, or one of its own.
    #[inline]
    pub(crate) fn has_quota(&self) -> bool {
        self.state.gate().has_quota() || (!self.is_plain && self.member.declared_group().is_some())
    }

    /// Whether there is nothing that could keep a request away.
    #[inline]
    pub(crate) fn is_simply_open(&self) -> bool {
        self.is_plain && self.state.gate().is_open()
    }

    /// Whether it is left alone, or its quota has no room for a request of that cost. `desperate`: ejections do not count.
    #[inline]
    pub(crate) fn is_barred(&self, cost: u64, now: &LazyNow<'_>, desperate: bool) -> bool {
        (!self.state.gate().is_open() && self.member.is_barred(cost, now, desperate))
            || (!self.is_plain && self.member.declared_group().is_some_and(|group| group.bars(cost, now)))
    }

    /// Lets a request in that is about to be counted: `None` if it is probed just now.
    #[inline]
    pub(crate) fn enter(&self, now: &LazyNow<'_>, desperate: bool) -> Option<Admission> {
        if self.state.gate().is_open() {
            Some(Admission::Free)
        } else {
            self.member.enter(now.get(), desperate)
        }
    }

    /// Whether it is eased in.
    #[inline]
    pub(crate) fn is_ramping(&self) -> bool {
        self.state.gate().is_ramping()
    }

    /// Which share of its weight it gets: less than 1 while it is eased in.
    #[inline]
    pub(crate) fn ramp(&self, now: &LazyNow<'_>) -> f64 {
        if self.is_ramping() { self.member.health().ramp(&self.state, now.get()) } else { 1.0 }
    }
}

impl<I> fmt::Debug for Seat<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.member.fmt(f)
    }
}
