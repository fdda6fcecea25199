//! One after the other: [`RoundRobin`], the default.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use serde::Deserialize;

use super::{Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError, previous_as};
use crate::config::StrategySpec;

/// Members one after the other. While all weigh the same it is strictly in order, also under concurrency: every turn
/// is one atomic addition, and no two picks get the same turn. With different weights each gets its share, spread
/// evenly and without bursts (the static stride scheduler of gRFC A58). Members that are not eligible lose their
/// turn, and the next in order does not get two.
///
/// A service starts at a random member, so that many clients do not all begin with the first; an update of the set
/// keeps the position.
///
/// O(1); with different weights O(max/mean weight) expected. One atomic addition per turn looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin {
    start: Option<u64>,
    ignore_weights: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    ignore_weights: bool,
    start: Option<u32>,
}

impl RoundRobin {
    /// The name in configuration.
    pub const NAME: &'static str = "round_robin";

    /// In order, by weight, from a random start.
    pub const fn new() -> Self {
        Self { start: None, ignore_weights: false }
    }

    /// Starts at this turn instead of a random one. For tests, and for a single client that wants the same order at
    /// every start.
    #[must_use]
    pub const fn starting_at(mut self, turn: u32) -> Self {
        self.start = Some(turn as u64);
        self
    }

    /// Takes every member with a weight as often as any other.
    #[must_use]
    pub const fn ignoring_weights(mut self) -> Self {
        self.ignore_weights = true;
        self
    }

    /// From configuration: `{ "ignore_weights": false, "start": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { start: params.start.map(u64::from), ignore_weights: params.ignore_weights })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for RoundRobin {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let max_weight = if self.ignore_weights || set.weights().are_equal() { 0 } else { set.weights().max };
        let start = match previous_as::<RoundRobinPicker<I>, I>(previous).and_then(|p| p.position(max_weight))
        {
            Some(position) => OnceLock::from(position),
            None => self.start.map_or_else(OnceLock::new, OnceLock::from),
        };
        let turns = CachePadded::new(AtomicU64::new(0));
        Box::new(RoundRobinPicker { turns, start, set: set.clone(), max_weight })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct RoundRobinPicker<I> {
    /// Turns taken since `start`.
    turns: CachePadded<AtomicU64>,
    /// The first turn. Drawn by the first pick, because that has the balancer's random source.
    start: OnceLock<u64>,
    set: MemberSet<I>,
    /// 0: all weigh the same.
    max_weight: u32,
}

/// How many turns may fall on members that are not eligible before everybody is looked at.
const TURNS: u64 = 64;

/// The stride scheduler's scale: the largest weight gets a place in every generation.
const SCALE: u64 = 65_535;

impl<I: Send + Sync + 'static> RoundRobinPicker<I> {
    /// Where the next picker is to go on; `None` if there was no pick yet. Between unweighted pickers the place in the
    /// round is kept whatever the number of members; otherwise the turn.
    fn position(&self, next_max_weight: u32) -> Option<u64> {
        let turn = self.start.get()? + self.turns.load(Ordering::Relaxed);
        let keeps_place = self.max_weight == 0 && next_max_weight == 0;
        Some(if keeps_place { turn % self.set.len().max(1) as u64 } else { turn })
    }

    /// Whether a member of that weight gets its place in this generation (gRFC A58).
    fn takes_turn(&self, weight: u32, turn: u64) -> bool {
        let n = self.set.len() as u64;
        let (generation, index) = (turn / n, turn % n);
        let weight = (u64::from(weight) * SCALE / u64::from(self.max_weight)).max(1);
        (weight.wrapping_mul(generation).wrapping_add(index * (SCALE / 2))) % SCALE >= SCALE - weight
    }
}

impl<I: Send + Sync + 'static> Picker<I> for RoundRobinPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let n = self.set.len() as u64;
        if n == 0 {
            return None;
        }
        let start = *self.start.get_or_init(|| candidates.random_bits() >> 16);
        // Twice around reaches everybody unless other threads take many of the turns in between.
        let turns = if self.max_weight == 0 { TURNS.min(2 * n) } else { TURNS };
        for _ in 0..turns {
            let turn = start + self.turns.fetch_add(1, Ordering::Relaxed);
            let slot = self.set.slot((turn % n) as usize)?;
            let Some(member) = candidates.member(slot) else { continue };
            if (self.max_weight == 0 || self.takes_turn(member.weight(), turn))
                && candidates.is_eligible(slot)
            {
                return Some(slot);
            }
        }
        candidates.any_eligible(&self.set)
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
