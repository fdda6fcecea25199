//! How uneven the weights of a set are.

use super::MemberSet;

/// The largest weight divided by the mean: 1 if all weigh the same (or there is nobody), at most the number of
/// members.
///
/// It is also the mean number of draws that a choice by rejection takes (draw anybody, accept it with a chance of its
/// weight over the largest), so it tells a strategy whether it can do without a table of the weights. O(1).
pub fn skew<I>(set: &MemberSet<I>) -> f64 {
    let weights = set.weights();
    if weights.total == 0 {
        return 1.0;
    }
    f64::from(weights.max) * set.len() as f64 / weights.total as f64
}

/// Up to which [`skew`] a choice by rejection is worth it, as
/// [`Candidates::any_eligible`](super::Candidates::any_eligible) makes it.
pub const MILD_SKEW: f64 = 8.0;
