//! Equal members get equal shares, also when some are left out.

use super::bench::StrategyBench;
use super::lab::Lab;
use super::statistics::assert_even;
use crate::random::RandomSource;
use crate::strategy::Exclusions;

/// Requests per member over which shares are compared: five standard deviations are less than a quarter of that.
const EACH: u64 = 500;

pub(super) fn equal_members_get_equal_shares(lab: &Lab<'_>) {
    for n in [1, 2, 3, 10, 100] {
        let bench = lab.equal(n);
        let counts = bench.shares(EACH * n as u64, &Exclusions::new());
        assert_even(&counts, (0..n).map(StrategyBench::id));
    }
}

/// Which of how many are left out: a row of neighbours, a few here and there, every other one, nearly all.
fn gaps() -> [(usize, Vec<usize>); 6] {
    [
        (2, vec![1]),
        (3, vec![0]),
        (10, vec![3, 4, 5]),
        (10, vec![0, 2, 4, 6, 8]),
        (40, vec![1, 7, 8, 19, 20, 21, 22, 23, 30, 39]),
        (100, (5..95).collect()),
    ]
}

/// The share of members that a call has tried does not pile up on their neighbours.
pub(super) fn the_rest_stays_even_without_some(lab: &Lab<'_>) {
    for (n, out) in gaps() {
        let bench = lab.equal(n);
        let tried = bench.exclusions(out.iter().map(|i| StrategyBench::id(*i)));
        expect_even_rest(&bench, n, &out, &tried);
    }
}

/// The share of members that rest does not pile up on their neighbours.
pub(super) fn the_rest_stays_even_while_some_rest(lab: &Lab<'_>) {
    for (n, out) in gaps() {
        let bench = lab.equal(n);
        for i in &out {
            bench.rest(&StrategyBench::id(*i));
        }
        expect_even_rest(&bench, n, &out, &Exclusions::new());
    }
}

fn expect_even_rest(bench: &StrategyBench, n: usize, out: &[usize], tried: &Exclusions) {
    let counts = bench.shares(EACH * (n - out.len()) as u64, tried);
    assert_even(&counts, (0..n).filter(|i| !out.contains(i)).map(StrategyBench::id));
}

/// Calls that go from one member to the next, each leaving out whom it has tried, load everybody evenly.
pub(super) fn every_retry_stays_even(lab: &Lab<'_>) {
    for n in [3, 10] {
        let bench = lab.equal(n);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..EACH * n as u64 {
            let mut tried: Vec<String> = Vec::new();
            for _ in 0..=bench.random().below(n) {
                let id = bench.serve_without(&bench.exclusions(&tried)).expect("somebody is left");
                tried.push(id.to_string());
                *counts.entry(id).or_default() += 1;
            }
        }
        assert_even(&counts, (0..n).map(StrategyBench::id));
    }
}
