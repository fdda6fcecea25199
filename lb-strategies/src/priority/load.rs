//! How much of the load each priority tier gets: [`tier_loads`].

/// What of a tier can take requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierHealth {
    /// How many members can take requests, or what they weigh together.
    pub healthy: u64,
    /// The same of all members.
    pub total: u64,
}

/// What a tier gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierLoad {
    /// The part of all requests, in percent.
    pub percent: u32,
    /// Whether so few of its members are healthy, in a service that has not enough of them anywhere, that the rest
    /// would be overrun.
    pub panic: bool,
}

/// Shares the load among tiers, the most preferred first, as Envoy does.
///
/// - A tier's health is `overprovisioning · 100 · healthy / total`, in whole percent and at most 100: with a factor of
///   1.4, tiers can lose 28 % of their members before anything spills over.
/// - A tier takes as much as it has health, as long as something is left. If the healths add up to less than 100, all
///   are scaled up.
/// - Only then a tier of which less than `panic_threshold` (0 to 1) is healthy is in panic. If all are, health counts
///   no more and each tier gets its part of all members.
///
/// Loads are whole percents that add up to 100, rounded to the nearest; what rounding leaves over goes to the first
/// tier that has anybody. (In total panic parts are rounded down before that, as in Envoy. In the other cases Envoy's
/// code rounds down, too, and Envoy's manual to the nearest: 25, 25 and 20 % healthy are 37 / 35 / 28 in the one and
/// 36 / 36 / 28 in the other.)
///
/// ```
/// use lb_strategies::{TierHealth, tier_loads};
///
/// let half = TierHealth { healthy: 2, total: 4 };
/// let loads = tier_loads(&[half, half], 1.4, 0.5);
/// assert_eq!([loads[0].percent, loads[1].percent], [70, 30]);
/// ```
pub fn tier_loads(tiers: &[TierHealth], overprovisioning: f64, panic_threshold: f64) -> Vec<TierLoad> {
    let mut loads = vec![TierLoad::default(); tiers.len()];
    let rule = Spillover::new(overprovisioning, panic_threshold);
    rule.share(tiers.len(), |i| tiers[i], |tier| tier.total, |i, load| loads[i] = load);
    loads
}

/// The two numbers that decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spillover {
    /// In percent.
    factor: u64,
    panic_threshold: f64,
}

/// From where on a factor means nothing more: a single healthy member among a million makes a tier healthy.
const MAX_FACTOR: f64 = 1e6;

impl Spillover {
    pub(crate) const DEFAULT: Self = Self { factor: 140, panic_threshold: 0.5 };

    /// Factors below 1 count as 1, thresholds are kept between 0 and 1; NaN is the default.
    pub(crate) fn new(overprovisioning: f64, panic_threshold: f64) -> Self {
        Self::DEFAULT.overprovisioning(overprovisioning).panic_threshold(panic_threshold)
    }

    pub(crate) fn overprovisioning(mut self, factor: f64) -> Self {
        if !factor.is_nan() {
            self.factor = (factor.clamp(1.0, MAX_FACTOR) * 100.0).round() as u64;
        }
        self
    }

    pub(crate) fn panic_threshold(mut self, threshold: f64) -> Self {
        if !threshold.is_nan() {
            self.panic_threshold = threshold.clamp(0.0, 1.0);
        }
        self
    }

    fn health(self, tier: TierHealth) -> u64 {
        let health = u128::from(self.factor) * u128::from(tier.healthy) / u128::from(tier.total.max(1));
        health.min(100) as u64
    }

    /// [`tier_loads`] without a list: asks for the health of tiers by their number, and reports their loads in order.
    /// `in_panic` is what the load follows if all tiers are in panic.
    pub(crate) fn share(
        self,
        tiers: usize,
        tier: impl Fn(usize) -> TierHealth,
        in_panic: impl Fn(TierHealth) -> u64,
        mut give: impl FnMut(usize, TierLoad),
    ) {
        let health = |i| self.health(tier(i));
        let sum = (0..tiers).map(health).sum::<u64>().min(100);
        let panic = |i| {
            let TierHealth { healthy, total } = tier(i);
            sum < 100 && (total == 0 || (healthy as f64) < self.panic_threshold * total as f64)
        };
        let panic = |i| self.panic_threshold > 0.0 && panic(i);
        if (0..tiers).all(panic) {
            let total: u128 = (0..tiers).map(|i| u128::from(in_panic(tier(i)))).sum();
            let part = |i: usize, _| (100 * u128::from(in_panic(tier(i))) / total.max(1)) as u64;
            hand_out(tiers, part, |i, percent| give(i, TierLoad { percent, panic: true }));
        } else {
            let part = |i: usize, left: u64| left.min((100 * health(i) + sum / 2) / sum.max(1));
            hand_out(tiers, part, |i, percent| give(i, TierLoad { percent, panic: panic(i) }));
        }
    }
}

/// Gives each its part of 100, which may depend on what is left, and what remains to the first that gets anything; to
/// the first of all if nobody does.
fn hand_out(tiers: usize, part: impl Fn(usize, u64) -> u64, mut give: impl FnMut(usize, u32)) {
    let (mut left, mut first) = (100, None);
    for i in 0..tiers {
        let part = part(i, left);
        left -= part;
        first = first.or((part > 0).then_some(i));
    }
    let (remainder, first) = (left, first.unwrap_or(0));
    left = 100;
    for i in 0..tiers {
        let part = part(i, left);
        left -= part;
        give(i, (part + if i == first { remainder } else { 0 }) as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads and panics of tiers given as (healthy, total).
    fn share(tiers: &[(u64, u64)], factor: f64, threshold: f64) -> (Vec<u32>, Vec<bool>) {
        let tiers: Vec<_> = tiers.iter().map(|&(healthy, total)| TierHealth { healthy, total }).collect();
        tier_loads(&tiers, factor, threshold).into_iter().map(|load| (load.percent, load.panic)).unzip()
    }

    #[test]
    fn two_tiers() {
        for (first, second, loads, panic) in [
            ((1, 1), (1, 1), [100, 0], [false; 2]),
            ((72, 100), (72, 100), [100, 0], [false; 2]),
            ((71, 100), (71, 100), [99, 1], [false; 2]),
            ((2, 4), (2, 4), [70, 30], [false; 2]),
            ((1, 4), (2, 2), [35, 65], [false; 2]),
            ((0, 4), (4, 4), [0, 100], [false; 2]),
            ((0, 4), (3, 4), [0, 100], [false; 2]),
            ((1, 4), (1, 4), [50, 50], [true; 2]),
            ((5, 100), (65, 100), [7, 93], [true, false]),
        ] {
            assert_eq!(
                share(&[first, second], 1.4, 0.5),
                (loads.to_vec(), panic.to_vec()),
                "{first:?} {second:?}"
            );
        }
    }

    #[test]
    fn without_overprovisioning_a_tier_takes_what_is_healthy() {
        assert_eq!(share(&[(2, 4), (2, 4)], 1.0, 0.5).0, [50, 50]);
        // Counted by weight: 3 + 3 of 10.
        assert_eq!(share(&[(6, 10), (1, 1)], 1.0, 0.5).0, [60, 40]);
    }

    #[test]
    fn three_tiers() {
        for (tiers, loads, panic) in [
            ([(1, 1), (1, 1), (1, 1)], [100, 0, 0], false),
            ([(1, 2), (1, 2), (1, 2)], [70, 30, 0], false),
            ([(1, 4), (2, 2), (1, 2)], [35, 65, 0], false),
            ([(25, 100), (25, 100), (100, 100)], [35, 35, 30], false),
            ([(1, 4), (1, 4), (1, 4)], [35, 35, 30], false),
            ([(0, 5), (0, 5), (5, 5)], [0, 0, 100], false),
            ([(0, 5), (0, 5), (4, 5)], [0, 0, 100], false),
        ] {
            assert_eq!(share(&tiers, 1.4, 0.5), (loads.to_vec(), vec![panic; 3]), "{tiers:?}");
        }
        let few = [(25, 100), (25, 100), (20, 100)];
        assert_eq!(share(&few, 1.4, 0.0).0, [36, 36, 28]);
    }

    #[test]
    fn in_total_panic_the_load_follows_the_size() {
        for (tiers, loads) in [
            (&[(0, 1), (0, 1)][..], &[50, 50][..]),
            (&[(0, 1), (0, 2)], &[34, 66]),
            (&[(1, 5), (1, 5), (1, 5)], &[34, 33, 33]),
            (&[(0, 5), (0, 5), (2, 5)], &[34, 33, 33]),
            (&[(0, 5), (0, 3), (0, 2)], &[50, 30, 20]),
            (&[(0, 5), (2, 6), (1, 3)], &[37, 42, 21]),
            (&[(0, 0), (0, 6), (0, 3)], &[0, 67, 33]),
        ] {
            assert_eq!(share(tiers, 1.4, 0.5), (loads.to_vec(), vec![true; loads.len()]), "{tiers:?}");
        }
    }

    #[test]
    fn without_a_threshold_there_is_no_panic() {
        assert_eq!(share(&[(1, 4), (1, 8)], 1.4, 0.0), (vec![67, 33], vec![false; 2]));
        assert_eq!(share(&[(0, 4), (0, 8)], 1.4, 0.0), (vec![100, 0], vec![false; 2]));
    }

    #[test]
    fn loads_add_up_to_a_hundred_whatever_the_input() {
        let sizes = [(0, 0), (0, 1), (1, 3), (1, 1), (2, 7), (u64::MAX / 3, u64::MAX)];
        for a in sizes {
            for b in sizes {
                for c in sizes {
                    for (factor, threshold) in
                        [(1.4, 0.5), (1.0, 1.0), (0.0, 0.0), (f64::INFINITY, 2.0), (f64::NAN, f64::NAN)]
                    {
                        let loads = share(&[a, b, c], factor, threshold).0;
                        assert_eq!(loads.iter().sum::<u32>(), 100, "{a:?} {b:?} {c:?} {factor} {threshold}");
                    }
                }
            }
        }
        assert_eq!(share(&[], 1.4, 0.5).0, [0; 0]);
    }
}
