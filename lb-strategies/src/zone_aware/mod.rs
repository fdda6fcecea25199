//! The caller's own zone first, as far as its capacity goes: [`ZoneAware`].

mod picker;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;

use lb_core::strategy::{MemberSet, Picker, Strategy, StrategyError, StrategyFactory};
use lb_core::{ServiceInstance, StrategySpec};
use serde::Deserialize;

pub use share::{ZoneState, zone_shares};

use self::picker::Rule;
use crate::inner::build_inner;

/// Prefers the caller's own zone ([`ServiceInstance::zone`]) as far as its capacity goes, and within a zone chooses by
/// whatever strategy is wrapped.
///
/// Use it where a request to another zone costs time or money, and every zone has both callers and instances.
///
/// As in Envoy, as much as possible stays in the zone while every member still gets what is due to its weight
/// ([`zone_shares`](crate::zone_shares) has the rule). That depends on what callers in other zones do, of which a library
/// in the caller knows nothing. It assumes that **every zone that has instances sends the same number of requests, and
/// that all callers choose in this way**: the own zone then has room for `weight of its healthy members · number of
/// zones / weight of all healthy members` of what arises there, and what it has no room for goes to zones with more
/// than the mean, in proportion to what they have beyond it. The other assumption that needs no knowledge, callers
/// spread like the instances, would never send anything elsewhere and crush a zone that has lost half of its members;
/// this one is wrong only as far as the traffic is uneven, and [`traffic`](Self::traffic) tells it how uneven that is.
///
/// Instances without a zone are taken for one more zone, in which there are no callers.
///
/// With fewer than [`min_size`](Self::min_size) members, without a member in the own zone, or with one zone only, it is
/// the inner strategy and nothing else. The size is that of the set, healthy or not, so that a failing member does not
/// change how everybody else is chosen.
///
/// A call never fails while somebody is eligible: if the zone that it fell on has nobody left for it, the own zone is
/// asked, then one of the others, drawn by what each has available, then the rest. So what a zone cannot serve does
/// not fall on one neighbour.
///
/// A member counts while a fresh call could pick it. It is counted anew after 1 ms, or 10 µs per member if that is
/// longer, and at every change of the set. A pick takes O(number of zones), a random number and what the inner strategy
/// takes; under a high rate one in sixteen reads the clock, else each does. A count takes O(number of members). No lock,
/// no allocation.
///
/// ```
/// use lb_core::Instance;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{RoundRobin, ZoneAware};
///
/// let bench = StrategyBench::new(ZoneAware::new("eu-1a", RoundRobin::new()), 7);
/// for i in 0..6 {
///     let zone = ["eu-1a", "eu-1b"][i % 2];
///     bench.put(Instance::new(format!("{zone}-{i}")).with_zone(zone));
/// }
/// let shares = bench.shares(300, &Default::default());
/// assert!(shares.keys().all(|id| id.starts_with("eu-1a")), "{shares:?}");
/// ```
#[derive(Clone, Debug)]
pub struct ZoneAware<S> {
    inner: S,
    rule: Rule,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    zone: Option<Box<str>>,
    min_size: Option<usize>,
    traffic: BTreeMap<Box<str>, f64>,
    inner: Option<StrategySpec>,
}

const MIN_SIZE: usize = 6;

impl<S> ZoneAware<S> {
    /// The name in configuration.
    pub const NAME: &'static str = "zone_aware";

    /// Prefers `zone`, in which the caller is. `inner` chooses within zones.
    pub fn new(zone: impl Into<Box<str>>, inner: S) -> Self {
        Self { inner, rule: Rule { zone: zone.into(), min_size: MIN_SIZE, traffic: BTreeMap::new() } }
    }

    /// With fewer members than this, zones do not count. Default 6: with a few instances the part of one zone is a
    /// matter of chance.
    #[must_use]
    pub const fn min_size(mut self, members: usize) -> Self {
        self.rule.min_size = members;
        self
    }

    /// How many requests come from which zone, in any unit: `[("eu-1a", 3.0), ("eu-1b", 1.0)]`. Zones that are not named
    /// send none, nor do those with a number that is negative or not finite. Default, and if it is empty: all zones that
    /// have instances send the same.
    #[must_use]
    pub fn traffic(mut self, zones: impl IntoIterator<Item = (impl Into<Box<str>>, f64)>) -> Self {
        self.rule.traffic = zones.into_iter().map(|(zone, traffic)| (zone.into(), traffic)).collect();
        self
    }
}

impl<I: Send + Sync + 'static> ZoneAware<Arc<dyn Strategy<I>>> {
    /// From configuration: `{ "zone": "eu-1a", "min_size": 6, "traffic": {}, "inner": { "name": "round_robin" } }`, where
    /// `factory` builds the inner strategy. `own_zone` is for configuration that callers in several zones share and that
    /// therefore names none.
    pub fn from_params(
        params: &serde_json::Value,
        own_zone: Option<&str>,
        factory: &dyn StrategyFactory<I>,
    ) -> Result<Self, StrategyError> {
        let Params { zone, min_size, traffic, inner } = StrategySpec::parse_params(Self::NAME, params)?;
        let invalid =
            |problem: &str| StrategyError::InvalidParams { name: Self::NAME.into(), problem: problem.into() };
        let zone = zone.or_else(|| own_zone.map(Into::into)).ok_or_else(|| {
            invalid("`zone`, the caller's own, is given neither here nor to the factory (`BuiltInStrategies.in_zone`)")
        })?;
        if traffic.values().any(|traffic| *traffic < 0.0) {
            return Err(invalid("`traffic` is not negative"));
        }
        let strategy = Self::new(zone, build_inner(inner, factory)?).traffic(traffic);
        Ok(strategy.min_size(min_size.unwrap_or(MIN_SIZE)))
    }
}

impl<I: ServiceInstance, S: Strategy<I>> Strategy<I> for ZoneAware<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        picker::picker(&self.rule, &self.inner, set, previous, I::zone)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}
