//! A priority decorator: the lowest tier that has somebody eligible, and within it whatever strategy is wrapped.

use std::collections::BTreeMap;

use loadbalance::prelude::*;
use loadbalance::strategy::{Candidates, MemberSet, Outcome, Picker, RoundRobin, Slot, Strategy};

struct Priority<S>(S);

struct Tiers<I>(Vec<Box<dyn Picker<I>>>);

impl<I: ServiceInstance, S: Strategy<I>> Strategy<I> for Priority<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let mut tiers = BTreeMap::<u32, Vec<Slot>>::new();
        for (slot, member) in set.iter() {
            tiers.entry(member.instance().priority()).or_default().push(slot);
        }
        let previous = loadbalance::strategy::previous_as::<Tiers<I>, I>(previous);
        let tiers = tiers.into_values().enumerate().map(|(n, slots)| {
            let previous = previous.and_then(|tiers| tiers.0.get(n)).map(|picker| &**picker);
            self.0.picker(&set.subset(slots), previous)
        });
        Box::new(Tiers(tiers.collect()))
    }
}

impl<I: ServiceInstance> Picker<I> for Tiers<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        self.0.iter().find_map(|tier| tier.pick(candidates))
    }

    fn on_outcome(&self, member: &loadbalance::strategy::Member<I>, outcome: &Outcome) {
        for tier in &self.0 {
            tier.on_outcome(member, outcome);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_tier_serves_until_nobody_in_it_can() {
    let registry = MemoryRegistry::new();
    for (id, tier) in [("cheap-1", 0), ("cheap-2", 0), ("dear-1", 1), ("dear-2", 1)] {
        registry.register("s", Instance::new(id).with_priority(tier)).await.unwrap();
    }
    let lb =
        LoadBalancer::builder(registry.clone()).strategy(Priority(RoundRobin::new().starting_at(0))).build();
    let pick = async || lb.execute("s", async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap();
    assert_eq!([pick().await, pick().await, pick().await], ["cheap-1", "cheap-2", "cheap-1"]);
    let fail_cheap = async |i: Picked<Instance>| {
        if i.id.starts_with("cheap") { Err(RequestError::unusable("401")) } else { Ok(i.id.clone()) }
    };
    assert_eq!(lb.execute("s", fail_cheap).await.unwrap(), "dear-1");
    assert_eq!([pick().await, pick().await], ["dear-2", "dear-1"]);
    registry.register("s", Instance::new("cheap-3")).await.unwrap();
    assert_eq!(pick().await, "cheap-3");
}
