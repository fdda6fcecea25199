//! Tiers, the first of them as long as it can: [`Priority`].

mod load;
mod picker;

use std::sync::Arc;

use lb_core::strategy::{MemberSet, Picker, Strategy, StrategyError, StrategyFactory};
use lb_core::{ServiceInstance, StrategySpec};
use serde::Deserialize;

pub use load::{TierHealth, TierLoad, tier_loads};

use self::load::Spillover;
use crate::inner::build_inner;

/// Priority tiers ([`ServiceInstance::priority`], 0 first), and within a tier whatever strategy is wrapped.
///
/// Use it where some instances are to serve only what others cannot: a dearer vendor, another region, a spare cluster.
/// The first tier serves everything until more than 28 % of it (by weight) is away, then the next one takes over what
/// is missing, little by little ([`tier_loads`](crate::tier_loads) has the rule, which is Envoy's). Each tier should be
/// able to replace the one before it.
///
/// A call never fails while somebody is eligible: if the tier that it fell on has nobody left for it (tried, refused),
/// the others are asked, the first tier first.
///
/// A member counts as healthy while a fresh call could pick it. It is counted anew after 1 ms, or 10 µs per member
/// if that is longer, and at every change of the set. *Panic* shifts load between tiers and does not bring anybody back: a member that rests has
/// said so. So, where Envoy in total panic asks everybody, and shares the load by the size of tiers, here those that
/// are left get the same each: it is shared by what each tier has left (by the size of tiers if that is nothing).
///
/// A pick takes O(number of tiers), a random number and what the inner strategy takes; under a high rate one in sixteen
/// reads the clock, else each does. A count takes O(number of members). No lock, no allocation. A service with one tier is left to the inner strategy and costs nothing more.
///
/// ```
/// use std::time::Duration;
///
/// use lb_core::Instance;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{Priority, RoundRobin};
///
/// let bench = StrategyBench::new(Priority::new(RoundRobin::new()), 7);
/// for (id, tier) in [("a", 0), ("b", 0), ("spare-a", 1), ("spare-b", 1)] {
///     bench.put(Instance::new(id).with_priority(tier));
/// }
/// let shares = bench.shares(1_000, &Default::default());
/// assert_eq!((shares["a"], shares["b"]), (500, 500));
///
/// bench.rest("b");
/// bench.advance(Duration::from_millis(1));
/// let shares = bench.shares(1_000, &Default::default());
/// assert!((650..750).contains(&shares["a"]), "70 % of the load: {shares:?}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Priority<S> {
    inner: S,
    rule: Spillover,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    overprovisioning: Option<f64>,
    panic_threshold: Option<f64>,
    inner: Option<StrategySpec>,
}

impl<S> Priority<S> {
    /// The name in configuration.
    pub const NAME: &'static str = "priority";

    /// Tiers within which `inner` chooses.
    pub const fn new(inner: S) -> Self {
        Self { inner, rule: Spillover::DEFAULT }
    }

    /// How many times as much as it usually serves a tier is able to serve. Default 1.4: it may lose 28 % of its
    /// members before the next tier gets anything. Less than 1 counts as 1; hundredths are kept.
    #[must_use]
    pub fn overprovisioning(mut self, factor: f64) -> Self {
        self.rule = self.rule.overprovisioning(factor);
        self
    }

    /// The healthy part of a tier below which it is in panic, if all tiers together do not have enough. Default 0.5;
    /// 0: never. Kept between 0 and 1.
    #[must_use]
    pub fn panic_threshold(mut self, threshold: f64) -> Self {
        self.rule = self.rule.panic_threshold(threshold);
        self
    }
}

impl<I: Send + Sync + 'static> Priority<Arc<dyn Strategy<I>>> {
    /// From configuration:
    /// `{ "overprovisioning": 1.4, "panic_threshold": 0.5, "inner": { "name": "round_robin" } }`, where `factory`
    /// builds the inner strategy.
    pub fn from_params(
        params: &serde_json::Value,
        factory: &dyn StrategyFactory<I>,
    ) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let invalid =
            |problem: &str| StrategyError::InvalidParams { name: Self::NAME.into(), problem: problem.into() };
        let mut strategy = Self::new(build_inner(params.inner, factory)?);
        if let Some(factor) = params.overprovisioning {
            if factor < 1.0 {
                return Err(invalid("`overprovisioning` is at least 1"));
            }
            strategy = strategy.overprovisioning(factor);
        }
        if let Some(threshold) = params.panic_threshold {
            if !(0.0..=1.0).contains(&threshold) {
                return Err(invalid("`panic_threshold` is from 0 to 1"));
            }
            strategy = strategy.panic_threshold(threshold);
        }
        Ok(strategy)
    }
}

impl<I: ServiceInstance, S: Strategy<I>> Strategy<I> for Priority<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        picker::picker(self.rule, &self.inner, set, previous, I::priority)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}
