//! The hot-cold rule.

use std::hint::select_unpredictable;

/// A member, or what a probe said of it, as a pick sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Requests in flight per weight.
    pub(super) load: f64,
    pub(super) latency: f64,
    pub(super) weight: f64,
}

/// Latencies that differ by no more than that are the same.
const SAME: f64 = 1.001;

/// Whether `one` is better than `other`: who is cold before who is hot; of two cold ones the faster, of two hot ones the
/// less loaded.
pub(super) fn better(one: &Seen, other: &Seen, hot: f64) -> bool {
    let (cold, other_cold) = (one.load <= hot, other.load <= hot);
    let (faster, less_loaded) = (one.latency * SAME < other.latency, one.load < other.load);
    // Without a branch: see `Urn::best`.
    let among_alike = select_unpredictable(cold, faster, less_loaded);
    select_unpredictable(cold == other_cold, among_alike, cold)
}

/// The load above which a member is hot, where `part` of them are not. There must be one, and at most 64.
pub(super) fn threshold(seen: &[Seen], part: f64) -> f64 {
    let mut loads = [0.0; 64];
    let loads = &mut loads[..seen.len()];
    for (load, seen) in loads.iter_mut().zip(seen) {
        *load = seen.load;
    }
    quantile(loads, part)
}

/// The value that `part` of them are not above. There must be one.
pub(super) fn quantile(loads: &mut [f64], part: f64) -> f64 {
    // Down to a whole place, so that of two the busier one is hot.
    let place = (part * (loads.len() - 1) as f64) as usize;
    *loads.select_nth_unstable_by(place, f64::total_cmp).1
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers, and copies of what went in")]
mod tests {
    use super::*;

    fn seen(load: f64, latency: f64) -> Seen {
        Seen { load, latency, weight: 1.0 }
    }

    #[test]
    fn the_cold_before_the_hot_then_latency_then_load() {
        let hot = 3.0;
        assert!(better(&seen(3.0, 50.0), &seen(4.0, 1.0), hot), "hot, however fast");
        assert!(better(&seen(3.0, 1.0), &seen(0.0, 2.0), hot), "both cold: the faster one");
        assert!(better(&seen(4.0, 9.0), &seen(5.0, 1.0), hot), "both hot: the less loaded one");
        assert!(
            !better(&seen(1.0, 1.0), &seen(2.0, 1.0), hot) && !better(&seen(2.0, 1.0), &seen(1.0, 1.0), hot)
        );
    }

    #[test]
    fn the_threshold_is_a_quantile_of_the_loads() {
        let of = |loads: &[f64], part| {
            threshold(&loads.iter().map(|load| seen(*load, 1.0)).collect::<Vec<_>>(), part)
        };
        assert_eq!(of(&[7.0, 0.0], 0.84), 0.0, "the busier of two is hot");
        assert_eq!(of(&[3.0, 9.0, 1.0], 0.84), 3.0);
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!((of(&ten, 0.84), of(&ten, 0.0), of(&ten, 1.0)), (7.0, 0.0, 9.0));
    }
}
