//! What strategies that take turns have in common: [`Turns`].

mod stride;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use lb_core::strategy::{Candidates, MemberSet, Slot};

pub(crate) use stride::Strides;

/// How many turns may be void or fall on members that are not eligible before everybody is looked at.
const TURNS: u64 = 64;

/// A counter of turns that starts anywhere.
pub(crate) struct Turns {
    taken: CachePadded<AtomicU64>,
    /// The first turn. Drawn by the first pick, because that has the balancer's random source.
    start: OnceLock<u64>,
}

impl Turns {
    /// From the given turn, or from one below `below` that is drawn.
    pub(crate) fn starting_at(start: Option<u64>) -> Self {
        Self {
            taken: CachePadded::new(AtomicU64::new(0)),
            start: start.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    /// The next turn, if any was taken.
    pub(crate) fn position(&self) -> Option<u64> {
        Some(self.start.get()?.wrapping_add(self.taken.load(Ordering::Relaxed)))
    }

    /// Takes turns until one falls on an eligible member, at most 64; after that anybody eligible by weight. Who loses
    /// its turn loses it for good: its share does not pile up on who comes next.
    #[inline]
    pub(crate) fn pick<I>(
        &self,
        candidates: &Candidates<'_, I>,
        set: &MemberSet<I>,
        cycle: u64,
        at: impl Fn(u64) -> Option<Slot>,
    ) -> Option<Slot> {
        let start = *self
            .start
            .get_or_init(|| ((u128::from(candidates.random_bits()) * u128::from(cycle)) >> 64) as u64);
        for _ in 0..TURNS.min(2 * cycle) {
            let turn = start.wrapping_add(self.taken.fetch_add(1, Ordering::Relaxed));
            if let Some(slot) = at(turn)
                && candidates.takes_turn(slot)
            {
                return Some(slot);
            }
        }
        candidates.any_eligible(set)
    }
}
