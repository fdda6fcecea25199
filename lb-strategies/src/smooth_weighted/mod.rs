//! In turn by weight, as smooth as can be: [`SmoothWeighted`].

mod sequence;

use lb_core::StrategySpec;
use lb_core::strategy::{
    Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError, previous_as,
};
use serde::Deserialize;

use self::sequence::sequence;
use crate::static_stride::StaticStridePicker;
use crate::turns::Turns;

/// Members in the order of nginx's smooth weighted round robin: each gets its share exactly, spread as evenly as can be
/// (weights 5, 1, 1 come as `a a b a c a a`).
///
/// Use it where weights are small numbers and the order itself matters: bursts at the heaviest are shortest. Otherwise
/// [`RoundRobin`](crate::RoundRobin) is as even and costs less memory.
///
/// The order is made when the set changes: as many turns as the sum of the weights divided by their greatest common divisor,
/// if that is at most 65,536 (two bytes each). If it is more, turns are taken as by
/// [`StaticStride`](crate::StaticStride). It starts at a random turn; a change that leaves the weights as they are keeps
/// the position.
///
/// O(1): one atomic addition, and one more for every member that is not eligible when its turn comes; after 64 of those
/// at random by weight. No lock, no allocation. A new set costs O(cycle · different weights).
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::SmoothWeighted;
///
/// let bench = StrategyBench::new(SmoothWeighted::new().starting_at(0), 7).with_weights([5, 1, 1]);
/// let order: String = (0..7).filter_map(|_| bench.serve()).map(|id| id[3..].to_owned()).collect();
/// assert_eq!(order, "0010200");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SmoothWeighted {
    start: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    start: Option<u32>,
}

impl SmoothWeighted {
    /// The name in configuration.
    pub const NAME: &'static str = "smooth_weighted";

    /// From a random turn.
    pub const fn new() -> Self {
        Self { start: None }
    }

    /// Starts at this turn instead of a random one. For tests, and for a single client that wants the same order at
    /// every start.
    #[must_use]
    pub const fn starting_at(mut self, turn: u32) -> Self {
        self.start = Some(turn);
        self
    }

    /// From configuration: `{ "start": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let Params { start } = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { start })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for SmoothWeighted {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let weights: Vec<u32> = set.iter().map(|(_, member)| member.weight()).collect();
        let start = self.start.map(u64::from);
        let Some(order) = sequence(&weights) else {
            return Box::new(StaticStridePicker::new(set, start, None));
        };
        let kept = previous_as::<SmoothWeightedPicker<I>, I>(previous)
            .and_then(|previous| if previous.order == order { previous.turns.position() } else { None });
        Box::new(SmoothWeightedPicker { turns: Turns::starting_at(kept.or(start)), order, set: set.clone() })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct SmoothWeightedPicker<I> {
    turns: Turns,
    order: Vec<u16>,
    set: MemberSet<I>,
}

impl<I: Send + Sync + 'static> Picker<I> for SmoothWeightedPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let cycle = self.order.len() as u64;
        let place = |turn: u64| self.order.get((turn % cycle) as usize).map(|place| usize::from(*place));
        self.turns.pick(candidates, &self.set, cycle, |turn| self.set.slot(place(turn)?))
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
