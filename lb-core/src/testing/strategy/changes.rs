//! The set changes under way.

use super::bench::StrategyBench;
use super::lab::Lab;
use super::statistics::assert_even;
use crate::instance::Instance;
use crate::member::Lease;
use crate::random::RandomSource;
use crate::registry::{InstanceState, Override};
use crate::strategy::Exclusions;

/// From the moment that a member is removed or drained it is not picked.
pub(super) fn who_left_is_not_picked(lab: &Lab<'_>) {
    for n in [2, 3, 10, 40] {
        let bench = lab.equal(n);
        let mut left = Vec::new();
        while left.len() < n - 1 {
            bench.shares(n as u64, &Exclusions::new());
            let id = StrategyBench::id(left.len() * 7 % n);
            let id = if left.contains(&id) { first_without(&left, n) } else { id };
            if left.len() % 2 == 0 {
                bench.remove(&id);
            } else {
                bench.lay_over(&id, Override::drain());
            }
            left.push(id);
            let counts = bench.shares(2 * n as u64, &Exclusions::new());
            assert!(
                left.iter().all(|id| !counts.contains_key(id.as_str())),
                "{left:?} left, picked: {counts:?}"
            );
        }
    }
}

fn first_without(left: &[String], n: usize) -> String {
    (0..n).map(StrategyBench::id).find(|id| !left.contains(id)).expect("somebody stays")
}

/// A new member, one that comes back, and one that drains no more can be picked.
pub(super) fn who_came_is_found(lab: &Lab<'_>) {
    let bench = lab.equal(3);
    bench.shares(10, &Exclusions::new());
    bench.put(Instance::new("new"));
    bench.remove("m001");
    bench.lay_over("m002", Override::drain());
    bench.shares(10, &Exclusions::new());
    bench.put(Instance::new("m001"));
    bench.lay_over("m002", Override::NONE);
    let all = ["m000", "m001", "m002", "new"];
    for id in all {
        let others = bench.exclusions(all.iter().filter(|other| **other != id));
        assert_eq!(
            bench.serve_without(&others).as_deref(),
            Some(id),
            "it is in the set and the only eligible one"
        );
    }
}

/// A set that changes all the time, each time while requests run: nobody is picked who is not in the set, and in the
/// end nobody counts a request that is not there.
pub(super) fn any_change_under_way_is_survived(lab: &Lab<'_>) {
    let bench = lab.equal(5);
    let below = |n| bench.random().below(n);
    let mut running: Vec<Lease<Instance>> = Vec::new();
    for _ in 0..2_000 {
        let id = StrategyBench::id(below(20));
        match below(8) {
            0 | 1 => bench.put(Instance::new(&id).with_weight(below(4) as u32)),
            2 => bench.remove(&id),
            3 => bench.lay_over(&id, Override::drain()),
            4 => bench.lay_over(&id, Override::weight(below(100) as u32)),
            5 => bench.lay_over(&id, Override::NONE),
            6 => bench.rest(&id),
            _ => bench.set_state(&id, [InstanceState::Ready, InstanceState::Starting][below(2)]),
        }
        let somebody =
            bench.set().iter().any(|(_, member)| member.available_at(1, bench.now()) <= bench.now());
        let picked = bench.pick(&Exclusions::new());
        assert_eq!(picked.is_some(), somebody, "whether somebody of {:?} is eligible", bench.set());
        running.extend(picked.map(|member| bench.start(&member)));
        if running.len() > 10 {
            running.swap_remove(below(10));
        }
    }
    drop(running);
    let stats = bench.pool().stats(0, bench.now());
    assert!(
        stats.instances.iter().all(|instance| instance.in_flight == 0),
        "nothing is in flight: {stats:?}"
    );
}

/// Updates that change nobody's share, however frequent, do not start the order anew with the same members.
pub(super) fn updates_favour_nobody(lab: &Lab<'_>) {
    for every in [1, 3] {
        let bench = lab.equal(10);
        let mut counts = std::collections::BTreeMap::new();
        for i in 0..10_000_u32 {
            if i % every == 0 {
                bench.put(Instance::new(StrategyBench::id(bench.random().below(10))).with_metadata("i", "x"));
            }
            *counts.entry(bench.serve().expect("all are eligible")).or_default() += 1;
        }
        assert_even(&counts, (0..10).map(StrategyBench::id));
    }
}

/// Who joins gets the same share as those who have long been there.
pub(super) fn a_new_member_gets_its_share(lab: &Lab<'_>) {
    let bench = lab.equal(4);
    bench.shares(1_000, &Exclusions::new());
    bench.put(Instance::new(StrategyBench::id(4)));
    assert_even(&bench.shares(10_000, &Exclusions::new()), (0..5).map(StrategyBench::id));
}
