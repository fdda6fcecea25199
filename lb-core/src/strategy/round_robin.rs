//! One after the other: [`RoundRobin`], the default.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use serde::Deserialize;

use super::rota::Rota;
use super::{Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError, previous_as};
use crate::config::StrategySpec;

/// Members one after the other. While all weigh the same it is strictly in order, also under concurrency: every turn
/// is one atomic addition, and no two picks get the same turn. With different weights each gets exactly its share,
/// spread evenly and without bursts (a static stride scheduler, after gRFC A58). Members that are not eligible lose
/// their turn, and the next in order does not get two.
///
/// A service starts at a random member, so that many clients do not all begin with the first. An update of the set
/// keeps the position, unless the set has at least doubled since it was last walked: clients that had one instance in
/// common would otherwise all go on from there.
///
/// O(1): one atomic addition per turn looked at, which is one while all weigh the same and are eligible, and at most
/// four on average with different weights. A new set costs O(1), or O(n log n) if some member weighs more than four
/// times the mean.
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
        let set = set.clone();
        let rota = if self.ignore_weights { Rota::ignoring_weights(set) } else { Rota::by_weight(set) };
        let previous = previous_as::<RoundRobinPicker<I>, I>(previous);
        let kept = previous.and_then(RoundRobinPicker::position).filter(|kept| rota.len() < 2 * kept.walked);
        let start = match &kept {
            Some(kept) => Some(turn(kept.round, kept.place % rota.len().max(1), rota.len())),
            None => self.start,
        };
        Box::new(RoundRobinPicker {
            turns: CachePadded::new(AtomicU64::new(0)),
            start: start.map_or_else(OnceLock::new, OnceLock::from),
            walked: kept.map_or(rota.len(), |kept| kept.walked),
            rota,
        })
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
    /// How many places there were when the start was drawn, or when a picker before this one last took a turn.
    walked: u64,
    rota: Rota<I>,
}

/// Where a picker has got to.
struct Position {
    round: u64,
    place: u64,
    walked: u64,
}

/// How many turns may fall on members that are not eligible before everybody is looked at.
const TURNS: u64 = 64;

/// The turn at a place of a round. Rounds are counted modulo 2³¹, so that a turn has room to grow: what a round's
/// number decides, the phase of the weights, may jump once in that many.
fn turn(round: u64, place: u64, places: u64) -> u64 {
    (round % (1 << 31)).wrapping_mul(places).wrapping_add(place)
}

impl<I: Send + Sync + 'static> RoundRobinPicker<I> {
    /// Where the next picker is to go on; `None` if there was no pick yet, or nobody to walk past.
    fn position(&self) -> Option<Position> {
        let (start, places) = (*self.start.get()?, self.rota.len());
        if places == 0 {
            return None;
        }
        let taken = self.turns.load(Ordering::Relaxed);
        let turn = start.wrapping_add(taken);
        let walked = if taken == 0 { self.walked } else { places };
        Some(Position { round: turn / places, place: turn % places, walked })
    }
}

impl<I: Send + Sync + 'static> Picker<I> for RoundRobinPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let places = self.rota.len();
        if places == 0 {
            return None;
        }
        let start = *self.start.get_or_init(|| {
            let place = candidates.random_below(places as usize) as u64;
            turn(candidates.random_bits(), place, places)
        });
        // Two rounds reach everybody whose weight is the largest, and with equal weights everybody, unless other
        // threads take many of the turns in between.
        for _ in 0..TURNS.min(2 * places) {
            let turn = start.wrapping_add(self.turns.fetch_add(1, Ordering::Relaxed));
            if let Some(slot) = self.rota.at(turn)
                && candidates.takes_turn(slot)
            {
                return Some(slot);
            }
        }
        if self.rota.is_even() {
            candidates.any_eligible_evenly(self.rota.set())
        } else {
            candidates.any_eligible(self.rota.set())
        }
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
