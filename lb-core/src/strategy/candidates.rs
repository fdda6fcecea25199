//! The view that a picker has of one attempt: [`Candidates`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{MILD_SKEW, Member, MemberSet, Seat, Slot, skew};
use crate::random::RandomSource;
use crate::time::{Clock, LazyNow, Time};

/// What a call has already tried in this round: members, and quota groups that said no. Allocates nothing for the
/// first eight.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    members: SmallVec<[u64; 8]>,
    groups: SmallVec<[u64; 2]>,
}

impl Exclusions {
    /// Nothing tried yet.
    pub const NONE: Self = Self { members: SmallVec::new_const(), groups: SmallVec::new_const() };

    /// Nothing tried yet.
    #[inline]
    pub const fn new() -> Self {
        Self::NONE
    }

    /// Leaves the member out; with its quota group if `with_group`.
    pub fn exclude<I>(&mut self, member: &Member<I>, with_group: bool) {
        self.members.push(member.state().token());
        if with_group && let Some(group) = member.quota_group() {
            self.groups.push(group.token());
        }
    }

    /// Forgets everything: a new round.
    pub fn clear(&mut self) {
        self.members.clear();
        self.groups.clear();
    }

    /// Whether nothing is left out.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members were left out one by one.
    #[inline]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the member was left out, for itself or with its quota group.
    pub(crate) fn contains<I>(&self, member: &Member<I>) -> bool {
        self.members.contains(&member.state().token())
            || (!self.groups.is_empty()
                && member.quota_group().is_some_and(|group| self.groups.contains(&group.token())))
    }
}

/// What is known of the request that a member is sought for.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// What the call has tried already.
    pub exclusions: &'a Exclusions,
    /// The hash of the request's key, for strategies that hash.
    pub hash_key: Option<u64>,
    /// What the request will use of a quota counted in tokens.
    pub cost: u64,
}

impl<'a> PickRequest<'a> {
    /// A request without key, of cost 1.
    pub const fn new(exclusions: &'a Exclusions) -> Self {
        Self { exclusions, hash_key: None, cost: 1 }
    }
}

/// How often [`Candidates::any_eligible`] draws somebody who could be eligible before it looks at everybody.
const DRAWS: usize = 16;

/// Who is eligible that is chosen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resort {
    None,
    Suspects,
    Ejected,
}

/// The view for one attempt: who could be picked, and what is known of the request. Lives on the stack.
pub struct Candidates<'a, I> {
    set: &'a MemberSet<I>,
    request: PickRequest<'a>,
    /// Whether the call has tried or this attempt has refused anybody: most have not, and need not look.
    narrowed: Cell<bool>,
    refused: RefCell<SmallVec<[Slot; 4]>>,
    /// Who was last found eligible, if that took more than a look at the flags: as a rule whom the picker returns, so that
    /// the engine need not find that out again.
    admitted: Cell<Option<Slot>>,
    last_resort: Cell<Resort>,
    now: LazyNow<'a>,
    random: &'a dyn RandomSource,
}

impl<'a, I> Candidates<'a, I> {
    /// The view of `set` for one request. The engine makes it; so do tests and simulators.
    #[inline]
    pub fn new(
        set: &'a MemberSet<I>,
        request: PickRequest<'a>,
        clock: &'a dyn Clock,
        random: &'a dyn RandomSource,
    ) -> Self {
        Self {
            set,
            request,
            narrowed: Cell::new(!request.exclusions.is_empty()),
            refused: RefCell::default(),
            admitted: Cell::new(None),
            last_resort: Cell::new(Resort::None),
            now: LazyNow::new(clock),
            random,
        }
    }

    /// How many members there are, eligible or not.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The seat in a slot.
    #[inline]
    pub fn seat(&self, slot: Slot) -> Option<&'a Seat<I>> {
        self.set.seat(slot)
    }

    /// The member in a slot.
    #[inline]
    pub fn member(&self, slot: Slot) -> Option<&'a Arc<Member<I>>> {
        self.set.member(slot)
    }

    /// Whether the member in `slot` may be picked now: not tried by this call in this round, not resting, and known
    /// to have room. A hint: the engine may still be refused by the member's quota, and asks again then.
    #[inline]
    pub fn is_eligible(&self, slot: Slot) -> bool {
        self.eligible_seat(slot).is_some()
    }

    /// The seat in `slot`, if its member [may be picked](Self::is_eligible).
    #[inline]
    pub fn eligible_seat(&self, slot: Slot) -> Option<&'a Seat<I>> {
        let seat = self.set.seat(slot)?;
        if self.admits_at_once(seat) { Some(seat) } else { self.eligible_after_all(slot, seat) }
    }

    #[inline(never)]
    fn eligible_after_all(&self, slot: Slot, seat: &'a Seat<I>) -> Option<&'a Seat<I>> {
        if !self.admits(slot, seat) {
            return None;
        }
        self.admitted.set(Some(slot));
        Some(seat)
    }

    /// The member that the picker has chosen, if it may be picked. What took the picker long to find out is not looked at
    /// again: what happened since then the picker could not have seen either.
    ///
    /// Not by whether it was the last that the picker found eligible: of two that are compared it is the last as often as
    /// not, which no processor can foresee.
    #[inline]
    pub(crate) fn chosen(&self, slot: Slot) -> Option<&'a Seat<I>> {
        let seat = self.set.seat(slot)?;
        if self.admits_at_once(seat) { Some(seat) } else { self.chosen_after_all(slot, seat) }
    }

    #[inline(never)]
    fn chosen_after_all(&self, slot: Slot, seat: &'a Seat<I>) -> Option<&'a Seat<I>> {
        match self.admitted.take() {
            Some(admitted) if admitted == slot => Some(seat),
            _ => self.eligible_after_all(slot, seat),
        }
    }

    /// Whether a look at its flags is enough to let it in.
    #[inline]
    fn admits_at_once(&self, seat: &Seat<I>) -> bool {
        seat.is_simply_open() && !self.narrowed.get()
    }

    /// Whether the member could be picked by a call that has tried nobody yet: [`is_eligible`](Self::is_eligible)
    /// without what this call has tried. For strategies that count whom they have.
    #[inline]
    pub fn is_available(&self, seat: &Seat<I>) -> bool {
        seat.is_simply_open() || self.is_available_after_all(seat)
    }

    #[inline(never)]
    fn is_available_after_all(&self, seat: &Seat<I>) -> bool {
        !seat.is_barred(self.request.cost, &self.now, self.is_desperate())
            && (!seat.is_suspect() || self.last_resort.get() != Resort::None)
    }

    #[inline]
    fn admits(&self, slot: Slot, seat: &Seat<I>) -> bool {
        if !self.is_available(seat) {
            return false;
        }
        !self.narrowed.get() || self.admits_in_second_attempt(slot, seat)
    }

    #[cold]
    fn admits_in_second_attempt(&self, slot: Slot, member: &Member<I>) -> bool {
        !self.request.exclusions.contains(member) && !self.refused.borrow().contains(&slot)
    }

    /// The eligible members of `set` (the picker's own, or a subset). O(number of members).
    pub fn eligible<'s>(&self, set: &'s MemberSet<I>) -> impl Iterator<Item = (Slot, &'s Seat<I>)> {
        set.iter().filter(|(slot, seat)| self.admits(*slot, seat))
    }

    /// Any eligible member of `set`, each with a chance in proportion to its weight. Expected O(1) while most members
    /// are eligible and none weighs more than eight times the mean; else O(number of members).
    pub fn any_eligible(&self, set: &MemberSet<I>) -> Option<Slot> {
        if set.weights().are_equal() {
            return self.any_eligible_evenly(set);
        }
        let (max, skew) = (f64::from(set.weights().max), skew(set));
        if skew <= MILD_SKEW {
            for _ in 0..DRAWS * skew.ceil() as usize {
                let slot = set.slot(self.random_below(set.len()))?;
                let seat = set.seat(slot)?;
                if self.random.unit() * max < self.weight(seat) && self.admits(slot, seat) {
                    return Some(slot);
                }
            }
        }
        let (mut chosen, mut total) = (None, 0.0);
        for (slot, seat) in self.eligible(set) {
            let weight = self.weight(seat);
            total += weight;
            if self.random.unit() * total < weight {
                chosen = Some(slot);
            }
        }
        chosen
    }

    /// Any eligible member of `set`, each with the same chance whatever its weight. Expected O(1) while most members
    /// are eligible; else O(number of members).
    pub fn any_eligible_evenly(&self, set: &MemberSet<I>) -> Option<Slot> {
        for _ in 0..DRAWS {
            let slot = set.slot(self.random_below(set.len()))?;
            if self.takes_turn(slot) {
                return Some(slot);
            }
        }
        let (mut chosen, mut total) = (None, 0.0);
        for (slot, seat) in self.eligible(set) {
            let share = seat.ramp(&self.now);
            total += share;
            if self.random.unit() * total < share {
                chosen = Some(slot);
            }
        }
        chosen
    }

    /// The member's weight in force, as a fraction of how far it has warmed up.
    #[inline]
    pub fn weight(&self, seat: &Seat<I>) -> f64 {
        f64::from(seat.weight()) * seat.ramp(&self.now)
    }

    /// Whether the member in `slot` takes the turn that falls on it: whether it [is eligible](Self::is_eligible) and,
    /// while it is eased in by a [slow start](crate::SlowStart), is lucky. For strategies that take turns; those that
    /// go by [`weight`](Self::weight) find the slow start in there.
    #[inline]
    pub fn takes_turn(&self, slot: Slot) -> bool {
        self.eligible_seat(slot).is_some_and(|seat| self.is_warm(seat))
    }

    /// Whether a member that is eased in by a [slow start](crate::SlowStart) is lucky, which it is as often as it has
    /// warmed up; for all others, yes.
    #[inline]
    pub fn is_warm(&self, seat: &Seat<I>) -> bool {
        !seat.is_ramping() || self.random.unit() < seat.ramp(&self.now)
    }

    /// What is left of the member's quota, from 0 to 1. Reads the clock if it has a quota.
    #[inline]
    pub fn headroom(&self, seat: &Seat<I>) -> f64 {
        if seat.has_quota() { seat.headroom(self.now()) } else { 1.0 }
    }

    /// The hash of the request's key, if it has one.
    #[inline]
    pub fn hash_key(&self) -> Option<u64> {
        self.request.hash_key
    }

    /// What the request will use of a quota counted in tokens.
    pub fn cost(&self) -> u64 {
        self.request.cost
    }

    /// The time of this attempt. Read from the clock the first time, about 20 ns.
    pub fn now(&self) -> Time {
        self.now.get()
    }

    /// A random number in `0..n`; 0 if `n` is 0.
    #[inline]
    pub fn random_below(&self, n: usize) -> usize {
        self.random.below(n)
    }

    /// A random number in `0.0..1.0`.
    pub fn random_unit(&self) -> f64 {
        self.random.unit()
    }

    /// 64 random bits.
    pub fn random_bits(&self) -> u64 {
        self.random.next_u64()
    }

    pub(crate) fn lazy_now(&self) -> &LazyNow<'a> {
        &self.now
    }

    /// Leaves a slot out for the rest of this attempt, without counting it as tried.
    pub(crate) fn refuse(&self, slot: Slot) {
        self.narrowed.set(true);
        self.admitted.set(None);
        self.refused.borrow_mut().push(slot);
    }

    /// From now on members that are chosen last are eligible, too. Returns whether that was news.
    ///
    /// First those that are suspect; then, unless `never_ejected`, those that are ejected, if this call has tried all
    /// others. As long as one is left that is only busy or resting the call is to wait for that one.
    pub(crate) fn allow_last_resort(&self, never_ejected: bool) -> bool {
        match self.last_resort.get() {
            Resort::None => self.last_resort.set(Resort::Suspects),
            Resort::Suspects if !never_ejected && self.has_tried_all_but_ejected() => {
                self.last_resort.set(Resort::Ejected);
            }
            Resort::Suspects | Resort::Ejected => return false,
        }
        true
    }

    /// Whether ejections do not count, because this call has tried everybody else.
    #[inline]
    pub(crate) fn is_desperate(&self) -> bool {
        self.last_resort.get() == Resort::Ejected
    }

    fn has_tried_all_but_ejected(&self) -> bool {
        let exclusions = self.request.exclusions;
        let mut left_out = false;
        !exclusions.is_empty()
            && self.set.iter().all(|(_, member)| {
                let tried = exclusions.contains(member);
                left_out |= !tried;
                tried || member.state().gate().is_left_out()
            })
            && left_out
    }
}

impl<I> fmt::Debug for Candidates<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("len", &self.len())
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
