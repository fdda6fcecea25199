//! The detectors that compare the instances of a pool, after gRFC A50. Pure functions of rates.

use super::counts::Tally;
use super::reason::EjectionReason;
use crate::config::{FailurePercentageEjection, SuccessRateEjection};

/// Below which success rate, in percent, an instance is an outlier among `rates`; `None` if there are too few.
pub(crate) fn success_rate_threshold(rates: &[f64], config: &SuccessRateEjection) -> Option<f64> {
    if rates.is_empty() || rates.len() < config.min_hosts as usize {
        return None;
    }
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / n;
    Some(mean - (config.stdev_factor * variance.sqrt()).max(config.margin))
}

/// Who is an outlier by its success rate: positions in `tallies`.
pub(crate) fn by_success_rate(
    tallies: &[Tally],
    config: &SuccessRateEjection,
) -> Vec<(usize, EjectionReason)> {
    let enough = |tally: &Tally| tally.requests > 0 && tally.requests >= u64::from(config.min_requests);
    let rates: Vec<_> = tallies.iter().filter(|t| enough(t)).map(|t| t.success_rate() * 100.0).collect();
    let Some(threshold) = success_rate_threshold(&rates, config) else { return Vec::new() };
    let outlier = |tally: &Tally| enough(tally) && tally.success_rate() * 100.0 < threshold;
    let reason = |tally: &Tally| EjectionReason::Outlier {
        success_percent: (tally.success_rate() * 100.0) as u32,
        requests: tally.requests,
    };
    tallies.iter().enumerate().filter(|(_, t)| outlier(t)).map(|(n, t)| (n, reason(t))).collect()
}

/// Who fails more than the fixed share: positions in `tallies`.
pub(crate) fn by_failure_percentage(
    tallies: &[Tally],
    config: &FailurePercentageEjection,
) -> Vec<(usize, EjectionReason)> {
    let enough = |tally: &Tally| tally.requests > 0 && tally.requests >= u64::from(config.min_requests);
    if tallies.iter().filter(|tally| enough(tally)).count() < config.min_hosts as usize {
        return Vec::new();
    }
    let outlier =
        |tally: &Tally| enough(tally) && tally.faults * 100 > tally.requests * u64::from(config.threshold);
    let reason = |tally: &Tally| EjectionReason::FailurePercentage {
        failure_percent: (tally.faults * 100 / tally.requests) as u32,
        requests: tally.requests,
    };
    tallies.iter().enumerate().filter(|(_, t)| outlier(t)).map(|(n, t)| (n, reason(t))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A50: SuccessRateEjection = SuccessRateEjection { margin: 0.0, ..SuccessRateEjection::DEFAULT };

    fn tallies(percent: &[u64], requests: u64) -> Vec<Tally> {
        let tally = |p: &u64| Tally { requests, faults: requests * (100 - p) / 100 };
        percent.iter().map(tally).collect()
    }

    fn who(found: &[(usize, EjectionReason)]) -> Vec<usize> {
        found.iter().map(|(n, _)| *n).collect()
    }

    #[test]
    fn the_threshold_of_envoys_test() {
        // Rates 50, 100, 100, 100, 100, factor 1.9: mean 90, standard deviation 20.
        let threshold = success_rate_threshold(&[50.0, 100.0, 100.0, 100.0, 100.0], &A50).unwrap();
        assert!((threshold - 52.0).abs() < 1e-9, "{threshold}");
        assert_eq!(who(&by_success_rate(&tallies(&[50, 100, 100, 100, 100], 100), &A50)), [0]);
    }

    #[test]
    fn needs_hosts_and_requests() {
        assert!(by_success_rate(&tallies(&[0, 100, 100, 100], 100), &A50).is_empty(), "four hosts");
        assert!(by_success_rate(&tallies(&[0, 100, 100, 100, 100], 99), &A50).is_empty(), "99 requests");
        let config = FailurePercentageEjection::DEFAULT;
        assert!(by_failure_percentage(&tallies(&[0, 100, 100, 100], 100), &config).is_empty());
        assert!(by_failure_percentage(&tallies(&[0, 100, 100, 100, 100], 49), &config).is_empty());
        assert_eq!(who(&by_failure_percentage(&tallies(&[0, 100, 100, 100, 100], 50), &config)), [0]);
        assert!(
            by_failure_percentage(&tallies(&[15, 15, 15, 15, 15], 100), &config).is_empty(),
            "not above 85"
        );
        assert!(by_failure_percentage(&[Tally::default(); 9], &config).is_empty());
    }

    #[test]
    fn a_hair_below_the_others_is_no_outlier() {
        let mut tallies = vec![Tally { requests: 10_000, faults: 0 }; 100];
        tallies[7].faults = 10;
        assert_eq!(who(&by_success_rate(&tallies, &A50)), [7], "by the letter of A50");
        assert!(by_success_rate(&tallies, &SuccessRateEjection::DEFAULT).is_empty());
        tallies[7].faults = 600;
        assert_eq!(who(&by_success_rate(&tallies, &SuccessRateEjection::DEFAULT)), [7]);
    }

    #[test]
    fn where_all_fail_alike_nobody_is_an_outlier() {
        let config = SuccessRateEjection::DEFAULT;
        assert!(by_success_rate(&tallies(&[10, 12, 11, 9, 10, 8], 1000), &config).is_empty());
    }
}
