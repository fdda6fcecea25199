//! Whoever is eligible can be found.

use super::bench::StrategyBench;
use super::eligibility::some_of;
use super::lab::Lab;
use crate::random::RandomSource;
use crate::strategy::Exclusions;

/// Before the first member and after the last one, nobody is picked, and nothing panics.
pub(super) fn an_empty_set_yields_nobody(lab: &Lab<'_>) {
    let bench = lab.bench();
    assert!(bench.pick(&Exclusions::new()).is_none(), "picked somebody from an empty set");
    let bench = bench.with_equal_members(3);
    assert!(bench.serve().is_some(), "found nobody after the set was empty");
    bench.clear();
    assert!(bench.pick(&Exclusions::new()).is_none(), "picked somebody after all have left");
    let bench = bench.with_equal_members(2);
    assert!(bench.serve().is_some(), "found nobody after the set was empty again");
}

/// One eligible member among up to 200 is found, whatever keeps the others away and wherever it is.
pub(super) fn the_only_eligible_member_is_found(lab: &Lab<'_>) {
    for n in (1..=32).chain([50, 63, 64, 65, 100, 128, 200]) {
        let bench = lab.equal(n);
        let ids: Vec<_> = (0..n).map(StrategyBench::id).collect();
        let places = [0, n - 1, n / 2, bench.random().below(n)];
        for only in places {
            let others = bench.exclusions(ids.iter().filter(|id| **id != ids[only]));
            expect_only(&bench, &others, &ids[only]);
        }
        let only = places[3];
        for id in ids.iter().filter(|id| **id != ids[only]) {
            bench.rest(id);
        }
        expect_only(&bench, &Exclusions::new(), &ids[only]);
    }
}

fn expect_only(bench: &StrategyBench, tried: &Exclusions, id: &str) {
    for _ in 0..3 {
        let served = bench.serve_without(tried);
        assert_eq!(served.as_deref(), Some(id), "the only eligible one of {}", bench.set().len());
    }
}

/// `None` means that nobody is eligible, and nothing else.
pub(super) fn nobody_is_picked_only_if_nobody_is_eligible(lab: &Lab<'_>) {
    for weights in [&[1; 7][..], &[1, 2, 4, 1, 2, 4, 8], &[1, 1, 1, 1, 1, 1, 1000]] {
        let bench = lab.weighing(weights);
        let n = weights.len();
        for _ in 0..500 {
            let tried = some_of(&bench, n);
            let served = bench.serve_without(&bench.exclusions(&tried));
            assert_eq!(served.is_some(), tried.len() < n, "with {} of {n} tried", tried.len());
        }
        let everybody = bench.exclusions((0..n).map(StrategyBench::id));
        assert!(bench.pick(&everybody).is_none(), "all are tried");
        for i in 0..n {
            bench.rest(&StrategyBench::id(i));
        }
        assert!(bench.pick(&Exclusions::new()).is_none(), "all rest");
    }
}
