//! Shares follow weights, unless the strategy says that they do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bench::StrategyBench;
use super::lab::Lab;
use super::statistics::{assert_even, assert_shares};
use crate::registry::Override;
use crate::strategy::Exclusions;

const REQUESTS: u64 = 20_000;

fn parts(weights: &[u32], out: &[usize]) -> Vec<(String, f64)> {
    let ids = weights.iter().enumerate().filter(|(i, _)| !out.contains(i));
    ids.map(|(i, weight)| (StrategyBench::id(i), f64::from(*weight))).collect()
}

pub(super) fn shares_follow_weights(lab: &Lab<'_>) {
    let many: Vec<u32> = (0..100).map(|i| 1 + i % 7).collect();
    for weights in [&[1, 2, 4][..], &[5, 1, 1], &[3, 0, 1], &[1000, 1001, 999, 1], &many] {
        let bench = lab.weighing(weights);
        assert_shares(&bench.shares(REQUESTS, &Exclusions::new()), &parts(weights, &[]));
    }
}

pub(super) fn shares_follow_weights_without_some(lab: &Lab<'_>) {
    let weights = [1, 2, 4, 1, 2, 4];
    for out in [vec![2], vec![0, 1], vec![2, 5], vec![1, 2, 3, 4]] {
        let bench = lab.weighing(&weights);
        let tried = bench.exclusions(out.iter().map(|i| StrategyBench::id(*i)));
        assert_shares(&bench.shares(REQUESTS, &tried), &parts(&weights, &out));
        for i in &out {
            bench.rest(&StrategyBench::id(*i));
        }
        assert_shares(&bench.shares(REQUESTS, &Exclusions::new()), &parts(&weights, &out));
    }
}

/// One member may weigh as much as all others together; with it, and without it, the others get what is theirs.
pub(super) fn a_huge_weight_leaves_the_others_their_share(lab: &Lab<'_>) {
    for (huge, weight) in [(99, 1), (1_000_000, 10_101), (1000, 1)] {
        let mut weights = vec![weight; 100];
        weights[17] = huge;
        let bench = lab.weighing(&weights);
        let counts = bench.shares(5 * REQUESTS, &Exclusions::new());
        assert_shares(&counts, &parts(&weights, &[]));
        // Member by member, small shares have wide bounds; together they have not.
        let mut two: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (id, count) in &counts {
            *two.entry(if **id == *"m017" { "huge" } else { "others" }.into()).or_default() += count;
        }
        let both = [("huge".to_owned(), f64::from(huge)), ("others".to_owned(), 99.0 * f64::from(weight))];
        assert_shares(&two, &both);
        let tried = bench.exclusions(["m017"]);
        assert_shares(&bench.shares(REQUESTS, &tried), &parts(&weights, &[17]));
    }
}

/// Weights at the ends of their range cause no overflow, and the lightest can still be found.
pub(super) fn extreme_weights_are_survived(lab: &Lab<'_>) {
    for weights in [&[u32::MAX, 1][..], &[1, u32::MAX, 0], &[u32::MAX; 40], &[1, 1, u32::MAX - 1, u32::MAX]] {
        let bench = lab.weighing(weights);
        let counts = bench.shares(2_000, &Exclusions::new());
        assert_eq!(counts.values().sum::<u64>(), 2_000);
        let lightest = weights.iter().position(|weight| *weight == 1).unwrap_or(0);
        let others = (0..weights.len()).filter(|i| *i != lightest).map(StrategyBench::id);
        for _ in 0..20 {
            let served = bench.serve_without(&bench.exclusions(others.clone()));
            assert_eq!(
                served,
                Some(StrategyBench::id(lightest).into()),
                "the only eligible one of {weights:?}"
            );
        }
    }
}

/// A weight changed by an operator counts from the next pick on.
pub(super) fn a_new_weight_counts(lab: &Lab<'_>) {
    let bench = lab.equal(3);
    bench.shares(100, &Exclusions::new());
    bench.lay_over("m001", Override::weight(6));
    assert_shares(&bench.shares(REQUESTS, &Exclusions::new()), &parts(&[1, 6, 1], &[]));
    bench.lay_over("m001", Override::NONE);
    assert_shares(&bench.shares(REQUESTS, &Exclusions::new()), &parts(&[1, 1, 1], &[]));
}

/// A strategy that does not look at weights is even whatever they are, also when few are eligible.
pub(super) fn weights_are_ignored(lab: &Lab<'_>) {
    let mut weights = vec![1; 100];
    weights[50..].fill(1000);
    let bench = lab.weighing(&weights);
    let ids = |range: std::ops::Range<usize>| range.map(StrategyBench::id);
    assert_even(&bench.shares(5 * REQUESTS, &Exclusions::new()), ids(0..100));
    let tried = bench.exclusions(ids(0..48).chain(ids(52..100)));
    assert_even(&bench.shares(REQUESTS, &tried), ids(48..52));
}
