//! The first that can: [`Ordered`].

use lb_core::strategy::{Candidates, Interest, MemberSet, Picker, Slot, Strategy, StrategyError};
use lb_core::{ServiceInstance, StrategySpec};
use serde::Deserialize;

use crate::params::invalid;

/// The first eligible member of a fixed order: the cheapest or preferred one as long as it can, then the next.
///
/// Use it where one instance is to serve everything: the account that is cheapest, the vendor whose answers are best, the
/// primary of a database. Do not use it to spread load: the others get only what the first one cannot take (its quota is
/// used up, it rests or is ejected, or the call has tried it). Where whole groups come one after the other, use
/// [`Priority`](crate::Priority).
///
/// First come the ids of the `first` list in its order, then all others by
/// [`priority`](lb_core::ServiceInstance::priority), 0 first, then by id. Weights do not count, but for 0, which drains. An
/// instance that is eased in after it was away ([`SlowStart`](lb_core::SlowStart)) gets part of the requests only; the
/// next one takes the others meanwhile.
///
/// O(number of members that come before the one chosen); no lock, no allocation. A new set costs O(n log n).
///
/// ```
/// use lb_core::Instance;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Ordered;
///
/// let bench = StrategyBench::new(Ordered::new().first(["cheap"]), 7);
/// for id in ["a", "b", "cheap"] {
///     bench.put(Instance::new(id));
/// }
/// assert_eq!(bench.serve().as_deref(), Some("cheap"));
/// assert_eq!(bench.serve_without(&bench.exclusions(["cheap"])).as_deref(), Some("a"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ordered {
    first: Vec<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    first: Vec<Box<str>>,
}

impl Ordered {
    /// The name in configuration.
    pub const NAME: &'static str = "ordered";

    /// By priority, then by id.
    pub const fn new() -> Self {
        Self { first: Vec::new() }
    }

    /// These ids come before all others, in this order. Ids that no instance has do no harm.
    #[must_use]
    pub fn first(mut self, ids: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        self.first = ids.into_iter().map(Into::into).collect();
        self
    }

    /// From configuration: `{ "first": ["id", "another id"] }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let Params { first } = StrategySpec::parse_params(Self::NAME, params)?;
        for (i, id) in first.iter().enumerate() {
            if first[..i].contains(id) {
                return Err(invalid(Self::NAME, format!("`first` names `{id}` twice")));
            }
        }
        Ok(Self { first })
    }
}

impl<I: ServiceInstance> Strategy<I> for Ordered {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let mut order: Vec<_> = set
            .iter()
            .map(|(slot, member)| {
                let id = &**member.id();
                let place = self.first.iter().position(|first| **first == *id).unwrap_or(usize::MAX);
                (place, member.instance().priority(), id, slot)
            })
            .collect();
        order.sort_unstable();
        Box::new(OrderedPicker { order: order.into_iter().map(|(.., slot)| slot).collect() })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct OrderedPicker {
    order: Box<[Slot]>,
}

impl<I: Send + Sync + 'static> Picker<I> for OrderedPicker {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let mut eased_in = None;
        for slot in self.order.iter().copied().filter(|slot| candidates.is_eligible(*slot)) {
            if candidates.takes_turn(slot) {
                return Some(slot);
            }
            eased_in = eased_in.or(Some(slot));
        }
        eased_in
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}
