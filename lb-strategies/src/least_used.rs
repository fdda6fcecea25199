//! Who has most of its quota left: [`LeastUsed`].

use lb_core::StrategySpec;
use lb_core::strategy::{Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;

/// The member that has the largest part of its quota left; among those that have the same, and those without a quota,
/// anybody, each with a chance in proportion to its weight.
///
/// Use it where accounts differ in size and bursts are to find room everywhere: all are used to the same degree, so that
/// none is empty while others are full. [`RoundRobin`](crate::RoundRobin), too, passes over who has no room, and is enough
/// where only the total counts. Parts are compared and not absolute numbers, so that a large account is not drained first.
/// Weights count among equals only.
///
/// Up to 16 members all are compared; of more, the best of six that are drawn by weight. O(1) expected while most members
/// are eligible, O(number of members) when hardly any is; no lock, no allocation, no state. Reads the clock if members have
/// quotas.
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::LeastUsed;
///
/// // Without quotas it goes by weight.
/// let bench = StrategyBench::new(LeastUsed::new(), 7).with_weights([1, 3]);
/// let shares = bench.shares(1_000, &Default::default());
/// assert!((700..800).contains(&shares["m001"]), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastUsed(());

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {}

impl LeastUsed {
    /// The name in configuration.
    pub const NAME: &'static str = "least_used";

    /// By what is left.
    pub const fn new() -> Self {
        Self(())
    }

    /// From configuration: `{}`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let Params {} = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self::new())
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for LeastUsed {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(LeastUsedPicker { set: set.clone() })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Up to how many members all are compared.
const ALL: usize = 16;
/// How many are drawn of more.
const DRAWS: usize = 6;

struct LeastUsedPicker<I> {
    set: MemberSet<I>,
}

impl<I: Send + Sync + 'static> LeastUsedPicker<I> {
    fn best_of_all(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let (mut best, mut most, mut weights) = (None, -1.0, 0.0);
        for (slot, seat) in candidates.eligible(&self.set) {
            let left = candidates.headroom(seat);
            if left < most {
                continue;
            }
            if left > most {
                (most, weights) = (left, 0.0);
            }
            let weight = candidates.weight(seat);
            weights += weight;
            if candidates.random_unit() * weights < weight {
                best = Some(slot);
            }
        }
        best
    }

    fn best_of_some(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let mut best = candidates.any_eligible(&self.set)?;
        let mut most = candidates.headroom(self.set.seat(best)?);
        for _ in 1..DRAWS {
            // Nothing is better than all, and drawing the same one again means that few are eligible.
            if most >= 1.0 {
                break;
            }
            let other = candidates.any_eligible(&self.set)?;
            if other == best {
                break;
            }
            let left = candidates.headroom(self.set.seat(other)?);
            if left > most {
                (best, most) = (other, left);
            }
        }
        Some(best)
    }
}

impl<I: Send + Sync + 'static> Picker<I> for LeastUsedPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        if self.set.len() <= ALL { self.best_of_all(candidates) } else { self.best_of_some(candidates) }
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
