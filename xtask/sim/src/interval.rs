//! How sure a difference is: [`Interval`].

/// The mean of a few measurements, with the 95 % interval in which the true mean lies: Student's t of the mean, which
/// needs no more than that the measurements are independent and their mean roughly normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// How far the interval reaches to either side; infinite if there is but one measurement.
    pub reach: f64,
}

/// The 97.5th percentile of Student's t, for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

impl Interval {
    /// Of measurements, of which there must be one.
    pub fn of(samples: &[f64]) -> Self {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let Some(freedom) = samples.len().checked_sub(2) else { return Self { mean, reach: f64::INFINITY } };
        let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let t = T.get(freedom).unwrap_or(&T[T.len() - 1]);
        Self { mean, reach: t * (variance / n).sqrt() }
    }

    /// Whether the true mean is at most that: for sure, for sure not, or not to be said.
    pub fn is_at_most(self, limit: f64) -> Option<bool> {
        if self.mean + self.reach <= limit {
            Some(true)
        } else if self.mean - self.reach > limit {
            Some(false)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Draw;

    #[test]
    fn the_reach_is_that_of_the_books() {
        // Mean 3, standard deviation sqrt(2.5), t(4) = 2.776: 2.776 · sqrt(2.5 / 5).
        let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((interval.mean - 3.0).abs() < 1e-12 && (interval.reach - 1.963).abs() < 1e-3, "{interval:?}");
        let one = Interval::of(&[7.0]);
        assert!(one.reach.is_infinite() && one.is_at_most(100.0).is_none(), "one says nothing");
        assert!(Interval::of(&[2.0; 3]).reach.abs() < 1e-12);
    }

    #[test]
    fn what_is_sure_is_said() {
        let interval = Interval { mean: 1.0, reach: 0.5 };
        assert_eq!([1.5, 1.2, 0.4].map(|limit| interval.is_at_most(limit)), [Some(true), None, Some(false)]);
    }

    /// Of a thousand intervals around means of six numbers each, about 950 hold the true mean.
    #[test]
    fn nineteen_of_twenty_hold_the_truth() {
        let held = (0..1000).filter(|trial| {
            let mut draw = Draw::new(3, 0, *trial);
            let samples: Vec<f64> = (0..6).map(|_| (0..12).map(|_| draw.unit()).sum::<f64>() - 6.0).collect();
            let interval = Interval::of(&samples);
            interval.mean.abs() <= interval.reach
        });
        let held = held.count();
        assert!((925..=975).contains(&held), "{held} of 1000");
    }
}
