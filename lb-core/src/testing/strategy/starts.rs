//! Many clients that start, or learn of a change, at the same moment do not all begin with the same member.

use std::collections::BTreeMap;

use super::bench::StrategyBench;
use super::lab::Lab;
use super::statistics::assert_even;

const CLIENTS: usize = 2_000;

/// The first picks of many clients are spread evenly.
pub(super) fn clients_start_anywhere(lab: &Lab<'_>) {
    let mut counts = BTreeMap::new();
    for _ in 0..CLIENTS {
        *counts.entry(lab.equal(5).serve().expect("all are eligible")).or_default() += 1;
    }
    assert_even(&counts, (0..5).map(StrategyBench::id));
}

/// So are the picks that follow when a service that had been down to one member, or none, is back. Who was there all along
/// may be left for later by a strategy that asks those it does not know first, but gets no more than its share.
pub(super) fn clients_start_anywhere_after_growth(lab: &Lab<'_>) {
    for before in [0, 1] {
        let mut counts = BTreeMap::new();
        for _ in 0..CLIENTS {
            let bench = lab.equal(before);
            bench.serve();
            let bench = bench.with_equal_members(5);
            *counts.entry(bench.serve().expect("all are eligible")).or_default() += 1;
        }
        let stayed = counts.remove(StrategyBench::id(0).as_str()).unwrap_or(0);
        if before == 0 || stayed * 5 > CLIENTS as u64 {
            counts.insert(StrategyBench::id(0).into(), stayed);
            assert_even(&counts, (0..5).map(StrategyBench::id));
        } else {
            assert_even(&counts, (1..5).map(StrategyBench::id));
        }
    }
}
