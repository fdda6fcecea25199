//! Strategies with one mistake each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use lb_core::Instance;
use lb_core::strategy::{
    Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, previous_as,
};

type Pick = fn(&MemberSet<Instance>, &AtomicUsize, &Candidates<'_, Instance>) -> Option<Slot>;

/// What is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Broken {
    pub(crate) pick: Pick,
    pub(crate) keeps_first_set: bool,
    pub(crate) insists_on_previous: bool,
    pub(crate) sums_up_latency: bool,
}

impl Broken {
    /// Nothing but that weights are ignored.
    pub(crate) const NOT: Self =
        Self { pick: evenly, keeps_first_set: false, insists_on_previous: false, sums_up_latency: false };
}

pub(crate) fn broken(broken: Broken) -> BrokenStrategy {
    BrokenStrategy { broken, first_set: OnceLock::new() }
}

pub(crate) struct BrokenStrategy {
    broken: Broken,
    first_set: OnceLock<MemberSet<Instance>>,
}

struct BrokenPicker {
    broken: Broken,
    set: MemberSet<Instance>,
    turns: AtomicUsize,
    latency: Mutex<Duration>,
}

impl Strategy<Instance> for BrokenStrategy {
    fn picker(
        &self,
        set: &MemberSet<Instance>,
        previous: Option<&dyn Picker<Instance>>,
    ) -> Box<dyn Picker<Instance>> {
        if self.broken.insists_on_previous && previous.is_some() {
            assert!(previous_as::<BrokenPicker, Instance>(previous).is_some(), "whose picker is that?");
        }
        let mut set = set.clone();
        if self.broken.keeps_first_set && !set.is_empty() {
            set = self.first_set.get_or_init(|| set).clone();
        }
        let (turns, latency) = (AtomicUsize::new(0), Mutex::default());
        Box::new(BrokenPicker { broken: self.broken, set, turns, latency })
    }
}

impl Picker<Instance> for BrokenPicker {
    fn pick(&self, candidates: &Candidates<'_, Instance>) -> Option<Slot> {
        (self.broken.pick)(&self.set, &self.turns, candidates)
    }

    fn on_outcome(&self, _: &Member<Instance>, outcome: &Outcome) {
        if self.broken.sums_up_latency {
            let mut latency = self.latency.lock().unwrap();
            *latency += outcome.elapsed;
        }
    }

    fn interest(&self) -> Interest {
        Interest::OUTCOMES
    }
}

fn evenly(set: &MemberSet<Instance>, _: &AtomicUsize, candidates: &Candidates<'_, Instance>) -> Option<Slot> {
    candidates.any_eligible_evenly(set)
}

pub(crate) fn by_weight(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    candidates.any_eligible(set)
}

pub(crate) fn first_slot(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    _: &Candidates<'_, Instance>,
) -> Option<Slot> {
    set.slot(0)
}

pub(crate) fn anybody(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    set.slot(candidates.random_below(set.len()))
}

pub(crate) fn next_neighbour(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    let start = candidates.random_below(set.len());
    (0..set.len())
        .filter_map(|i| set.slot((start + i) % set.len()))
        .find(|slot| candidates.is_eligible(*slot))
}

pub(crate) fn one_try(
    set: &MemberSet<Instance>,
    turns: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    anybody(set, turns, candidates).filter(|slot| candidates.is_eligible(*slot))
}

pub(crate) fn a_few_tries(
    set: &MemberSet<Instance>,
    turns: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    (0..64).find_map(|_| one_try(set, turns, candidates))
}

pub(crate) fn modulo_len(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    let slot = set.slot(candidates.random_bits() as usize % set.len());
    slot.filter(|slot| candidates.is_eligible(*slot)).or_else(|| candidates.any_eligible_evenly(set))
}

pub(crate) fn by_narrow_sum(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    let weights = candidates.eligible(set).map(|(_, member)| member.weight());
    let total = weights.reduce(|a, b| a.checked_add(b).expect("the sum fits"))?;
    let mut point = candidates.random_below(total as usize) as u32;
    candidates.eligible(set).find_map(|(slot, member)| {
        let here = point < member.weight();
        point = point.wrapping_sub(member.weight());
        here.then_some(slot)
    })
}

pub(crate) fn length_of_all(
    set: &MemberSet<Instance>,
    _: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    let slot = set.slot(candidates.random_below(candidates.len()))?;
    if candidates.is_eligible(slot) { Some(slot) } else { candidates.any_eligible_evenly(set) }
}

/// Finds nobody while another thread picks, as one does that tries a lock.
pub(crate) fn if_alone(
    set: &MemberSet<Instance>,
    turns: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    let alone = turns.fetch_add(1, Ordering::Relaxed) == 0;
    std::thread::yield_now();
    turns.fetch_sub(1, Ordering::Relaxed);
    if alone { candidates.any_eligible_evenly(set) } else { None }
}

/// Round robin from the first, anew after every update.
pub(crate) fn in_turn(
    set: &MemberSet<Instance>,
    turns: &AtomicUsize,
    candidates: &Candidates<'_, Instance>,
) -> Option<Slot> {
    for _ in 0..2 * set.len() {
        let slot = set.slot(turns.fetch_add(1, Ordering::Relaxed) % set.len())?;
        if candidates.is_eligible(slot) {
            return Some(slot);
        }
    }
    candidates.any_eligible_evenly(set)
}
