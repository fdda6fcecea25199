//! In turn by weight, at any scale: [`StaticStride`].

use lb_core::StrategySpec;
use lb_core::strategy::{Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;

use crate::params::in_range;
use crate::turns::{Strides, Turns};

/// Members in turn by weight: the static stride scheduler of gRPC's `weighted_round_robin` (gRFC A58).
///
/// Use it for the same order as gRPC's clients have, or where weights come from measurements and are to be kept within
/// bounds of their mean (`max_ratio`). [`RoundRobin`](crate::RoundRobin), the default, does the same with exact arithmetic,
/// and needs fewer turns per pick where weights differ much; [`SmoothWeighted`](crate::SmoothWeighted) has the order of
/// nginx.
///
/// A turn falls on every member in order, and a member takes as many of 65,535 turns as its weight is of the largest.
/// All weigh the same: it is strictly in order. It starts at a random turn, also after a change of the set.
///
/// O(largest weight / mean weight) expected, at most 64 turns, each one atomic addition; after those O(1) expected or
/// O(number of members) at random by weight. No lock, no allocation. A new set costs O(number of members).
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::StaticStride;
///
/// let bench = StrategyBench::new(StaticStride::new().starting_at(0), 7).with_weights([2, 3, 6]);
/// let order: Vec<_> = (0..6).filter_map(|_| bench.serve()).collect();
/// assert_eq!(order, ["m001", "m002", "m002", "m000", "m001", "m002"].map(Into::into));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct StaticStride {
    start: Option<u32>,
    max_ratio: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    start: Option<u32>,
    max_ratio: Option<f64>,
}

impl StaticStride {
    /// The name in configuration.
    pub const NAME: &'static str = "static_stride";

    /// From a random turn, weights as they are.
    pub const fn new() -> Self {
        Self { start: None, max_ratio: None }
    }

    /// Starts at this turn instead of a random one. For tests, and for a single client that wants the same order at
    /// every start.
    #[must_use]
    pub const fn starting_at(mut self, turn: u32) -> Self {
        self.start = Some(turn);
        self
    }

    /// Keeps weights between the mean divided by `ratio` and the mean times `ratio`. Default: no bounds; at least 1. gRPC
    /// has 10 as the upper bound.
    #[must_use]
    pub const fn max_ratio(mut self, ratio: f64) -> Self {
        self.max_ratio = Some(ratio.max(1.0));
        self
    }

    /// From configuration: `{ "start": null, "max_ratio": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let Params { start, max_ratio } = StrategySpec::parse_params(Self::NAME, params)?;
        if let Some(ratio) = max_ratio {
            in_range(Self::NAME, "max_ratio", ratio, 1.0..=1e9)?;
        }
        Ok(Self { start, max_ratio })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for StaticStride {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(StaticStridePicker::new(set, self.start.map(u64::from), self.max_ratio))
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Turns by stride; strictly in order where all weigh the same.
pub(crate) struct StaticStridePicker<I> {
    turns: Turns,
    strides: Option<Strides>,
    set: MemberSet<I>,
}

impl<I> StaticStridePicker<I> {
    pub(crate) fn new(set: &MemberSet<I>, start: Option<u64>, max_ratio: Option<f64>) -> Self {
        let ratio = max_ratio.unwrap_or(f64::INFINITY);
        let strides = (!set.weights().are_equal()).then(|| {
            let weights: Vec<f64> = set.iter().map(|(_, member)| f64::from(member.weight())).collect();
            Strides::new(&weights, 1.0 / ratio, ratio)
        });
        Self { turns: Turns::starting_at(start), strides: strides.flatten(), set: set.clone() }
    }
}

impl<I: Send + Sync + 'static> Picker<I> for StaticStridePicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let set = &self.set;
        if set.is_empty() {
            return None;
        }
        if let Some(strides) = &self.strides {
            return self.turns.pick(candidates, set, strides.cycle(), |turn| set.slot(strides.at(turn)?));
        }
        let places = set.len() as u64;
        self.turns.pick(candidates, set, places, |turn| set.slot((turn % places) as usize))
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
