//! When a count is too far from what was to be expected.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Checks that each id has its part of all counts, where the parts are given relative to each other.
///
/// The bound is five standard deviations of independent draws, and five counts for parts that are next to nothing: a
/// strategy may be more regular than chance, not less. Of 10⁶ fair comparisons less than one is beyond it.
#[track_caller]
pub(super) fn assert_shares(counts: &BTreeMap<Arc<str>, u64>, parts: &[(String, f64)]) {
    let n = counts.values().sum::<u64>() as f64;
    let total: f64 = parts.iter().map(|(_, part)| part).sum();
    for (id, part) in parts {
        let count = counts.get(id.as_str()).copied().unwrap_or(0) as f64;
        let share = part / total;
        let bound = 5.0 * (n * share * (1.0 - share)).sqrt() + 5.0;
        assert!(
            (count - n * share).abs() <= bound,
            "{id} got {count} of {n} requests, {:.0} ± {bound:.0} would be its share; all: {counts:?}",
            n * share,
        );
    }
    let known = parts.iter().filter_map(|(id, _)| counts.get(id.as_str())).sum::<u64>() as f64;
    assert!(known >= n, "{} requests went to others than {parts:?}; all: {counts:?}", n - known);
}

/// The same with equal parts.
#[track_caller]
pub(super) fn assert_even(counts: &BTreeMap<Arc<str>, u64>, ids: impl IntoIterator<Item = String>) {
    let parts: Vec<_> = ids.into_iter().map(|id| (id, 1.0)).collect();
    assert_shares(counts, &parts);
}
