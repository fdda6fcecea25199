//! Anybody: [`Random`].

use lb_core::StrategySpec;
use lb_core::strategy::{
    Candidates, Interest, MILD_SKEW, MemberSet, Picker, Slot, Strategy, StrategyError, skew,
};
use serde::Deserialize;

use crate::alias::AliasTable;

/// Members at random, each with a chance in proportion to its weight.
///
/// Use it where several threads pick at a very high rate among many members: unlike
/// [`RoundRobin`](crate::RoundRobin) it writes nothing that picks of different members share. Or where many clients
/// must not walk in step. Do not use it where few requests shall be spread evenly: a member that is due `k` of them gets
/// about `k ± √k`.
///
/// O(1) expected while most members are eligible, O(number of members) when hardly any is; no lock, no allocation.
/// A new set costs O(1), or O(number of members) if some member weighs more than eight times the mean.
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Random;
///
/// let bench = StrategyBench::new(Random::new(), 7).with_weights([1, 3]);
/// let shares = bench.shares(1_000, &Default::default());
/// assert!((700..800).contains(&shares["m001"]), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Random {
    ignore_weights: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    ignore_weights: bool,
}

impl Random {
    /// The name in configuration.
    pub const NAME: &'static str = "random";

    /// By weight.
    pub const fn new() -> Self {
        Self { ignore_weights: false }
    }

    /// Takes every member with a weight as often as any other.
    #[must_use]
    pub const fn ignoring_weights(mut self) -> Self {
        self.ignore_weights = true;
        self
    }

    /// From configuration: `{ "ignore_weights": false }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let Params { ignore_weights } = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { ignore_weights })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Random {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let draw = if self.ignore_weights {
            Draw::Evenly
        } else if skew(set) <= MILD_SKEW {
            Draw::ByRejection
        } else {
            Draw::ByTable(AliasTable::new(set))
        };
        Box::new(RandomPicker { draw, set: set.clone() })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// How often to draw from the table before everybody is looked at.
const DRAWS: usize = 16;

enum Draw {
    Evenly,
    ByRejection,
    ByTable(AliasTable),
}

struct RandomPicker<I> {
    draw: Draw,
    set: MemberSet<I>,
}

impl<I: Send + Sync + 'static> Picker<I> for RandomPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        match &self.draw {
            Draw::Evenly => candidates.any_eligible_evenly(&self.set),
            Draw::ByRejection => candidates.any_eligible(&self.set),
            Draw::ByTable(table) => (0..DRAWS)
                .filter_map(|_| table.draw(candidates.random_below(table.len()), candidates.random_bits()))
                .find(|slot| candidates.is_eligible(*slot))
                .or_else(|| candidates.any_eligible(&self.set)),
        }
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use lb_core::testing::StrategyBench;
    use serde_json::json;

    #[test]
    fn the_same_seed_gives_the_same_picks() {
        for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
            let picks = |seed| {
                let bench = StrategyBench::new(Random::new(), seed).with_weights(weights);
                (0..50).map(|_| bench.serve()).collect::<Vec<_>>()
            };
            assert_eq!(picks(7), picks(7));
            assert_ne!(picks(7), picks(8));
        }
    }

    #[test]
    fn no_hook_is_asked_for() {
        let bench = StrategyBench::new(Random::new(), 1).with_equal_members(3);
        assert_eq!(bench.pool().interest(), Interest::NONE);
    }

    #[test]
    fn parameters_are_checked() {
        assert!(!Random::from_params(&json!(null)).unwrap().ignore_weights);
        assert!(!Random::from_params(&json!({})).unwrap().ignore_weights);
        assert!(Random::from_params(&json!({ "ignore_weights": true })).unwrap().ignore_weights);
        let error = Random::from_params(&json!({ "weights": true })).unwrap_err().to_string();
        assert!(error.contains("`random`") && error.contains("`weights`"), "{error}");
        assert!(Random::from_params(&json!({ "ignore_weights": "yes" })).is_err());
    }

    #[test]
    fn the_name_is_the_same_everywhere() {
        assert_eq!(Strategy::<Instance>::name(&Random::new()), Random::NAME);
    }
}
