//! How long an ejection lasts, and how many there may be.

use std::time::Duration;

use crate::config::OutlierDetection;
use crate::random::RandomSource;
use crate::time::nanos;

/// Pools up to this size are taken for keys or vendors, which fail each for itself; larger ones for replicas of one
/// program, which fail together when what they depend on fails.
const SMALL: usize = 20;

/// How many of `instances` may be ejected at a time: the configured percentage, rounded down, but at least one (if the
/// percentage is not 0), and never all.
pub(crate) fn max_ejected(instances: usize, config: &OutlierDetection) -> usize {
    let most = match config.max_ejection_percent {
        Some(0) => return 0,
        Some(percent) => instances.saturating_mul(percent as usize) / 100,
        None if instances <= SMALL => instances / 2,
        None => (instances / 10).max(SMALL / 2),
    };
    most.max(1).min(instances.saturating_sub(1))
}

/// How long the `n`-th ejection in close succession lasts: `base · n`, at most `max(base, max)`, less a random part of
/// at most `jitter`.
pub(crate) fn ejection_time(n: u32, config: &OutlierDetection, random: &dyn RandomSource) -> Duration {
    let longest = config.base_ejection_time.max(config.max_ejection_time);
    let time = config.base_ejection_time.saturating_mul(n.max(1)).min(longest);
    time.saturating_sub(time.mul_f64(config.jitter * random.unit()))
}

/// How many of `n` ejections still count after the instance has done well for `healthy`: one less per interval.
pub(crate) fn remembered(n: u32, healthy: Duration, config: &OutlierDetection) -> u32 {
    let intervals = nanos(healthy) / nanos(config.interval).max(1);
    n.saturating_sub(u32::try_from(intervals).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use proptest::prelude::*;

    fn with_percent(percent: Option<u32>) -> OutlierDetection {
        OutlierDetection { max_ejection_percent: percent, ..OutlierDetection::DEFAULT }
    }

    #[test]
    fn one_may_be_ejected_and_one_is_kept() {
        let default = OutlierDetection::DEFAULT;
        let at_most: Vec<_> =
            [0, 1, 2, 3, 4, 5, 10, 20, 21, 99, 1000].map(|n| max_ejected(n, &default)).into();
        assert_eq!(at_most, [0, 0, 1, 1, 2, 2, 5, 10, 10, 10, 100]);
        let percent = |percent, n| max_ejected(n, &with_percent(Some(percent)));
        assert_eq!([percent(0, 100), percent(10, 3), percent(10, 25), percent(100, 3)], [0, 1, 2, 2]);
    }

    #[test]
    fn repetition_makes_it_longer_and_health_forgets() {
        let config = OutlierDetection { jitter: 0.0, ..OutlierDetection::DEFAULT };
        let random = SeededRandom::new(1);
        let seconds = |n| ejection_time(n, &config, &random).as_secs();
        assert_eq!(
            [seconds(0), seconds(1), seconds(2), seconds(9), seconds(u32::MAX)],
            [30, 30, 60, 270, 300]
        );
        let after = |secs| remembered(3, Duration::from_secs(secs), &config);
        assert_eq!(
            [after(0), after(9), after(10), after(25), after(30), after(u64::MAX)],
            [3, 3, 2, 1, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn ejection_times_stay_within_bounds(
            n in any::<u32>(), base in 1_u64..1_000_000, max in 1_u64..1_000_000, jitter in 0.0..=1.0_f64,
            seed in any::<u64>(),
        ) {
            let (base, max) = (Duration::from_millis(base), Duration::from_millis(max));
            let config = OutlierDetection {
                base_ejection_time: base, max_ejection_time: max, jitter, ..OutlierDetection::DEFAULT
            };
            let time = ejection_time(n, &config, &SeededRandom::new(seed)).as_secs_f64();
            prop_assert!(time <= base.max(max).as_secs_f64());
            prop_assert!(time >= base.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }

        #[test]
        fn one_is_always_kept(n in 0_usize..10_000, percent in prop::option::of(0_u32..=100)) {
            let most = max_ejected(n, &with_percent(percent));
            prop_assert!(most < n.max(1));
            if let Some(percent) = percent {
                prop_assert!(most <= (n * percent as usize / 100).max(1));
            }
        }
    }
}
