//! A picker for a subset (of a zone, of a priority) is part of a decorator, whose parent knows more members.

use std::collections::BTreeMap;

use super::bench::StrategyBench;
use super::lab::Lab;
use super::statistics::assert_even;
use crate::instance::Instance;
use crate::member::{MemberSet, Slot};
use crate::strategy::Exclusions;

/// The members at every third place, from the second on.
fn every_third(set: &MemberSet<Instance>) -> Vec<Slot> {
    (1..set.len()).step_by(3).filter_map(|position| set.slot(position)).collect()
}

/// What is picked is a member of the subset, under the slot that it has in the parent.
pub(super) fn a_subset_is_not_left(lab: &Lab<'_>) {
    for n in [1, 2, 3, 10, 300] {
        for weights in [vec![1; n], (0..n as u32).map(|i| 1 + i % 5).collect()] {
            let bench = lab.weighing(&weights);
            let set = bench.set();
            let slots = every_third(&set);
            let published = bench.pool().home().published.load();
            let subset = set.subset(slots.iter().copied());
            let picker = bench.strategy().picker(&subset, Some(&*published.picker));
            let ids: Vec<_> = subset.iter().map(|(_, member)| member.id().clone()).collect();
            for _ in 0..50 {
                let picked =
                    bench.pick_by(&*picker, &set, &Exclusions::new()).map(|member| member.id().clone());
                assert_eq!(picked.is_some(), !slots.is_empty(), "a subset of {} of {n}", slots.len());
                assert!(
                    picked.iter().all(|id| ids.contains(id)),
                    "picked {picked:?}, which is not in the subset"
                );
            }
        }
    }
}

/// Each member of the subset is found if it alone is eligible; if none is, nobody is, whoever else the parent has.
pub(super) fn a_subset_is_searched_whole(lab: &Lab<'_>) {
    let bench = lab.equal(30);
    let set = bench.set();
    let subset = set.subset(every_third(&set));
    let picker = bench.strategy().picker(&subset, None);
    let ids: Vec<_> = subset.iter().map(|(_, member)| member.id().to_string()).collect();
    for id in &ids {
        let others = bench.exclusions(ids.iter().filter(|other| *other != id));
        let picked = bench.pick_by(&*picker, &set, &others).map(|member| member.id().to_string());
        assert_eq!(picked.as_ref(), Some(id), "the only eligible one of the subset");
    }
    let all = bench.exclusions(&ids);
    assert!(bench.pick_by(&*picker, &set, &all).is_none(), "the whole subset has been tried");
}

pub(super) fn a_subset_is_shared_evenly(lab: &Lab<'_>) {
    let bench = lab.equal(30);
    let set = bench.set();
    let subset = set.subset(every_third(&set));
    let picker = bench.strategy().picker(&subset, None);
    let mut counts = BTreeMap::new();
    for _ in 0..10_000 {
        let member = bench.pick_by(&*picker, &set, &Exclusions::new()).expect("all are eligible");
        *counts.entry(member.id().clone()).or_default() += 1;
        drop(bench.start(&member));
    }
    assert_even(&counts, (1..30).step_by(3).map(StrategyBench::id));
}
