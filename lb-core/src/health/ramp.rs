//! The share of its weight that an instance gets while it is eased in.

use std::time::Duration;

use crate::config::SlowStart;

/// The share after `age`, from `min_weight` to 1. 1 if slow start is off or over.
pub(crate) fn ramp(age: Duration, config: &SlowStart) -> f64 {
    if age >= config.window {
        return 1.0;
    }
    let progress = age.as_secs_f64().max(1.0) / config.window.as_secs_f64();
    progress.powf(1.0 / config.aggression).max(config.min_weight).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_envoys_formula() {
        let table: [(u64, [f64; 3]); 6] = [
            (1, [0.1, 0.1, 0.1291]),
            (6, [0.1, 0.1, 0.3162]),
            (15, [0.1, 0.25, 0.5]),
            (30, [0.25, 0.5, 0.5_f64.sqrt()]),
            (45, [0.5625, 0.75, 0.866]),
            (60, [1.0, 1.0, 1.0]),
        ];
        for (age, shares) in table {
            for (aggression, share) in [0.5, 1.0, 2.0].into_iter().zip(shares) {
                let config = SlowStart { aggression, ..SlowStart::over(Duration::from_secs(60)) };
                let got = ramp(Duration::from_secs(age), &config);
                assert!((got - share).abs() < 5e-5, "{age} s, aggression {aggression}: {got}");
            }
        }
    }

    #[test]
    fn off_is_the_whole_share() {
        assert!((ramp(Duration::ZERO, &SlowStart::OFF) - 1.0).abs() < 1e-9);
        let instant = SlowStart::over(Duration::from_secs(1));
        assert!((ramp(Duration::ZERO, &instant) - 1.0).abs() < 1e-9, "the first second counts as one second");
    }
}
