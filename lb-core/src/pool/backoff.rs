//! How long to wait between two rounds.

use std::time::Duration;

use crate::config::CallPolicy;
use crate::random::RandomSource;

/// The wait after `rounds` completed rounds: `retry_delay · retry_backoff^rounds`, at most `max_retry_delay`, spread
/// evenly by ± `jitter`. So it lies between `(1 − jitter)` and `(1 + jitter)` times the un-jittered value.
pub fn backoff(policy: &CallPolicy, rounds: u32, random: &dyn RandomSource) -> Duration {
    exponential(
        policy.retry_delay,
        policy.retry_backoff,
        policy.max_retry_delay,
        policy.jitter,
        rounds,
        random,
    )
}

/// `first · factor^rounds`, at most `longest`, spread evenly by ± `jitter`.
pub(crate) fn exponential(
    first: Duration,
    factor: f64,
    longest: Duration,
    jitter: f64,
    rounds: u32,
    random: &dyn RandomSource,
) -> Duration {
    let exponent = i32::try_from(rounds).unwrap_or(i32::MAX);
    let wait = first.as_secs_f64() * factor.powi(exponent);
    let wait = wait.min(longest.as_secs_f64());
    let spread = 1.0 + jitter * (2.0 * random.unit() - 1.0);
    Duration::try_from_secs_f64(wait * spread).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use proptest::prelude::*;

    #[test]
    fn grows_up_to_the_cap() {
        let policy = CallPolicy { jitter: 0.0, ..CallPolicy::default() };
        let random = SeededRandom::new(1);
        let waits: Vec<_> = (0..4).map(|n| backoff(&policy, n, &random).as_secs_f64()).collect();
        assert_eq!(
            waits.iter().map(|w| (w * 1000.0).round()).collect::<Vec<_>>(),
            [2000.0, 2200.0, 2420.0, 2662.0]
        );
        assert_eq!(backoff(&policy, u32::MAX, &random), Duration::from_secs(30));
    }

    proptest! {
        #[test]
        fn stays_within_bounds(delay_ms in 1_u64..100_000, factor in 1.0..1000.0_f64, jitter in 0.0..=1.0_f64,
                               rounds in any::<u32>(), seed in any::<u64>()) {
            let retry_delay = Duration::from_millis(delay_ms);
            let max_retry_delay = retry_delay * 3;
            let policy = CallPolicy { retry_delay, max_retry_delay, retry_backoff: factor, jitter, ..CallPolicy::default() };
            let wait = backoff(&policy, rounds, &SeededRandom::new(seed)).as_secs_f64();
            prop_assert!(wait >= retry_delay.as_secs_f64() * (1.0 - jitter) - 1e-6);
            prop_assert!(wait <= max_retry_delay.as_secs_f64() * (1.0 + jitter) + 1e-6);
        }
    }
}
