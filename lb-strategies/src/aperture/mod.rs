//! A few of many, some of them in part: [`Aperture`].

mod picker;
mod ring;

use std::sync::Arc;

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Strategy, StrategyError, StrategyFactory};
use serde::Deserialize;

use self::picker::AperturePicker;
use crate::client::ClientIndex;
use crate::inner::build_inner;
use crate::params::in_range;
use crate::subset::in_hash_order;

/// Finagle's deterministic aperture: each client uses only some members of a large set, and all members get *exactly* the
/// same traffic for their weight, because those at the ends of an aperture are used in part.
///
/// Use it as [`Subset`](crate::Subset), where the members should be busy alike although subsets are small, above all around
/// a strategy that goes by load (best of two): with few requests in flight per client, loads alone cannot even out what
/// subsets leave uneven. `Subset` makes each member known to as many clients as any other, to within one; with ten clients
/// for each member that one is 10 % of its traffic. Here it is nothing.
///
/// The members lie on a ring in the order of the hashes of their ids, each as wide as its weight. Client c of C begins at
/// c/C of the way around; its aperture is ⌈[`min`](Self::min) · C / N⌉/C wide, so that every point of the ring is in
/// as many apertures as any other. A member that is in the aperture with a part p of its width is among the candidates with
/// a chance such that it gets p times the share of a whole one (if the inner strategy goes by weight; one that goes by load
/// corrects that by what it sees). Source: Finagle, `DeterministicAperture`.
///
/// **What moves.** When one of N members comes or leaves, the members of each aperture change by one or two at its
/// ends, and the parts of those at the ends change; `min` · C / N is rounded up, so now and then all apertures
/// get wider or narrower by 1/C of the ring. A client that comes or leaves moves all apertures.
///
/// A call never fails while somebody is eligible: if nobody in the aperture is, one of the next on the ring is asked, by
/// chance, and then any. With at most `min` members it is the inner strategy and nothing else.
///
/// A pick takes one random number and what the inner strategy takes; no lock, no allocation. A new set costs
/// O(n log n), and up to four pickers of the inner strategy.
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{Aperture, ClientIndex, RoundRobin};
///
/// // Three clients of four members: each sees two, and two thirds of a third one.
/// let client = ClientIndex::new(0, 3)?;
/// let strategy = Aperture::new(client, RoundRobin::new()).min(2);
/// let bench = StrategyBench::new(strategy, 7).with_equal_members(4);
/// let mut shares: Vec<_> = bench.shares(8_000, &Default::default()).into_values().collect();
/// shares.sort();
/// assert_eq!(shares.len(), 3);
/// assert!((1_900..2_100).contains(&shares[0]) && (2_900..3_100).contains(&shares[1]), "{shares:?}");
/// # Ok::<_, lb_strategies::InvalidClientIndex>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aperture<S> {
    inner: S,
    client: ClientIndex,
    min: usize,
}

/// Finagle's.
const MIN: usize = 12;
const MAX_MIN: usize = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    min: Option<usize>,
    client_index: Option<u32>,
    client_count: Option<u32>,
    inner: Option<StrategySpec>,
}

impl<S> Aperture<S> {
    /// The name in configuration.
    pub const NAME: &'static str = "aperture";

    /// The aperture of a client. `inner` chooses within it.
    pub const fn new(client: ClientIndex, inner: S) -> Self {
        Self { inner, client, min: MIN }
    }

    /// How many members it is wide, at least. Default 12, as in Finagle: enough that one that fails is missed little, and for
    /// best-of-two to have a choice. At least 1.
    #[must_use]
    pub fn min(mut self, members: usize) -> Self {
        self.min = members.clamp(1, MAX_MIN);
        self
    }
}

impl<I: 'static> Aperture<Arc<dyn Strategy<I>>> {
    /// From configuration: `{ "min": 12, "client_index": 3, "client_count": 10, "inner": { "name": "round_robin" } }`, where
    /// `factory` builds the inner strategy. Configuration that clients share cannot number them: then `client` is taken, and
    /// if there is none, [one by chance](ClientIndex::random).
    pub fn from_params(
        params: &serde_json::Value,
        client: Option<ClientIndex>,
        factory: &dyn StrategyFactory<I>,
    ) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let number = ClientIndex::parse(Self::NAME, params.client_index, params.client_count)?;
        let min = in_range(Self::NAME, "min", params.min.unwrap_or(MIN), 1..=MAX_MIN)?;
        let client = number.or(client).unwrap_or_else(ClientIndex::random);
        Ok(Self::new(client, build_inner(params.inner, factory)?).min(min))
    }
}

impl<I: Send + Sync + 'static, S: Strategy<I>> Strategy<I> for Aperture<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        if set.len() <= self.min {
            return self.inner.picker(set, AperturePicker::inner_of(previous));
        }
        let order = in_hash_order(set);
        let weight = |slot| set.member(slot).map_or(0, |member| member.weight());
        let weights: Vec<u32> = order.iter().map(|slot| weight(*slot)).collect();
        let aperture = ring::aperture(&weights, self.client, self.min);
        Box::new(AperturePicker::new(set, &order, &aperture, &self.inner, previous))
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use serde_json::json;

    use crate::BuiltInStrategies;

    #[test]
    fn parameters_are_checked() {
        let parse = |params, own| {
            Aperture::<Arc<dyn Strategy<Instance>>>::from_params(&params, own, &BuiltInStrategies)
        };
        let own = ClientIndex::new(1, 2).unwrap();
        assert_eq!(parse(json!({ "min": 20 }), Some(own)).unwrap().client, own);
        assert_eq!(parse(json!({}), None).unwrap().client, ClientIndex::random());
        let given = parse(json!({ "client_index": 3, "client_count": 9 }), Some(own)).unwrap().client;
        assert_eq!(given, ClientIndex::new(3, 9).unwrap());
        for (params, part) in [
            (json!({ "min": 0 }), "`min` is from 1 to 1048576, not 0"),
            (json!({ "client_count": 3 }), "given together"),
            (json!({ "size": 3 }), "`size`"),
        ] {
            let error = parse(params, None).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
