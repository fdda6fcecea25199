//! The order of a static stride scheduler: [`Strides`].

/// The largest scaled weight.
const MAX: u64 = 65_535;
/// By which the places of a round are out of step with each other.
const OFFSET: u64 = MAX / 2;

/// Who takes which turn, after gRFC A58: a turn falls on each place in order, and a place whose weight is `w` of 65,535
/// takes it in that many of 65,535 rounds.
#[derive(Debug)]
pub(crate) struct Strides(Box<[u16]>);

impl Strides {
    /// For the given weights. What is not a positive number counts as the mean of the others; weights are kept between
    /// `least` and `most` times the mean. `None` if there are less than two places or no weight at all.
    pub(crate) fn new(weights: &[f64], least: f64, most: f64) -> Option<Self> {
        let valid = || weights.iter().copied().filter(|weight| weight.is_finite() && *weight > 0.0);
        let known = valid().count();
        if weights.len() < 2 || known == 0 {
            return None;
        }
        let mean = valid().sum::<f64>() / known as f64;
        let clamped = |weight: f64| {
            if weight.is_finite() && weight > 0.0 { weight.clamp(least * mean, most * mean) } else { mean }
        };
        let max = weights.iter().copied().map(clamped).fold(0.0, f64::max);
        let scaled = |weight: &f64| ((clamped(*weight) / max * MAX as f64).round() as u16).max(1);
        Some(Self(weights.iter().map(scaled).collect()))
    }

    /// After how many turns the order begins anew.
    pub(crate) fn cycle(&self) -> u64 {
        self.0.len() as u64 * MAX
    }

    /// The place that takes this turn; `None` if it is void.
    #[inline]
    pub(crate) fn at(&self, turn: u64) -> Option<usize> {
        let places = self.0.len() as u64;
        let (place, round) = (turn % places, turn / places);
        let weight = u64::from(self.0[place as usize]);
        // The round modulo 65,535 makes no difference and leaves room for the product.
        let phase = (weight * (round % MAX) + place * OFFSET) % MAX;
        (phase >= MAX - weight).then_some(place as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds of gRPC's C++ implementation.
    fn strides(weights: &[f64]) -> Strides {
        Strides::new(weights, 0.01, 10.0).unwrap()
    }

    /// The first picks of an order, with their turns.
    fn picks(strides: &Strides, from: u64) -> impl Iterator<Item = (u64, usize)> + '_ {
        (from..).filter_map(|turn| Some((turn, strides.at(turn)?)))
    }

    fn counts(weights: &[f64], n: usize) -> Vec<usize> {
        let strides = strides(weights);
        let mut counts = vec![0; weights.len()];
        picks(&strides, 0).take(n).for_each(|(_, place)| counts[place] += 1);
        counts
    }

    /// `static_stride_scheduler_test.cc` of gRPC.
    #[test]
    fn the_reference_cases_of_grpc() {
        assert_eq!(counts(&[1.0, 2.0, 3.0], 6), [1, 2, 3]);
        assert_eq!(counts(&[3.0, 0.0, 1.0], 6), [3, 2, 1], "unknown is the mean");
        assert_eq!(counts(&[3.0, -1.0, 1.0], 6), [3, 2, 1]);
        assert_eq!(counts(&[3.0, f64::NAN, 1.0], 6), [3, 2, 1]);
        let one_large: Vec<f64> = std::iter::once(81.0).chain([1.0; 19]).collect();
        let expected: Vec<usize> = std::iter::once(50).chain([1; 19]).collect();
        assert_eq!(counts(&one_large, 69), expected, "at most ten times the mean");
        assert_eq!(counts(&[100.0, 1e-10], 201), [200, 1], "at least a hundredth of the mean");
    }

    #[test]
    fn the_reference_order_of_grpc() {
        let strides = strides(&[2.0, 3.0, 6.0]);
        let first: Vec<_> = picks(&strides, 0).take(6).collect();
        assert_eq!(first, [(1, 1), (2, 2), (5, 2), (6, 0), (7, 1), (8, 2)]);
    }

    /// The cases of `weighted_round_robin` in grpc-go (`balancer_test.go`) and grpc-java
    /// (`WeightedRoundRobinLoadBalancerTest`), as far as they are about weights: shares to within 0.002.
    #[test]
    fn the_reference_shares_of_grpc() {
        for (weights, expected) in [
            (&[1.0, 10.0][..], &[1.0 / 11.0, 10.0 / 11.0][..]),
            (&[1.0, 1.0], &[0.5, 0.5]),
            (&[4.0, 2.0, f64::NAN], &[4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]),
            (&[4.0, 2.0, 0.0], &[4.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0]),
        ] {
            let counts = counts(weights, 10_000);
            for (count, expected) in counts.iter().zip(expected) {
                let share = *count as f64 / 10_000.0;
                assert!((share - expected).abs() < 0.002, "{weights:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn without_weights_or_choice_there_is_no_order() {
        for weights in [&[][..], &[1.0], &[0.0, 0.0], &[f64::NAN, -1.0]] {
            assert!(Strides::new(weights, 0.01, 10.0).is_none(), "{weights:?}");
        }
    }

    #[test]
    fn a_whole_cycle_gives_everybody_its_weight() {
        let strides = strides(&[1.0, 2.0, 4.0]);
        let mut counts = [0_u64; 3];
        (7..7 + strides.cycle()).filter_map(|turn| strides.at(turn)).for_each(|place| counts[place] += 1);
        assert_eq!(counts, [16_384, 32_768, 65_535]);
    }
}
