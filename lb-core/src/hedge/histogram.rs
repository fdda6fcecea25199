//! How long attempts take, as a distribution: [`Histogram`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per doubling: a value is known to within 1/16, about 6 %.
const STEPS: u64 = 16;
const STEP_BITS: u32 = 4;
/// Up to 2⁴⁰ ns · 16 ≈ 4.9 hours; longer ones count as that.
const BUCKETS: usize = 41 * STEPS as usize;
/// When this many are in, all counts are halved: the past fades.
const FADE_AT: u64 = 8192;

/// Counts durations in buckets whose width grows with the value. One atomic addition per value; what two threads do to
/// it at the same instant may blur a count by one.
pub(crate) struct Histogram {
    counts: Box<[AtomicU32]>,
    total: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect(), total: AtomicU64::new(0) }
    }

    /// Counts a value in. Returns how many are in now.
    pub(crate) fn record(&self, value: Duration) -> u64 {
        self.counts[bucket(value)].fetch_add(1, Ordering::Relaxed);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        if total == FADE_AT {
            self.fade();
        }
        total
    }

    /// The value below which the share `quantile` (0 to 1) of all lies; `None` if there are none. O(buckets).
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.counts.iter().map(|n| n.load(Ordering::Relaxed).into()).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let bucket = counts.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        Some(upper_edge(bucket))
    }

    fn fade(&self) {
        let mut total = 0;
        for count in &self.counts {
            let half = count.load(Ordering::Relaxed) / 2;
            count.store(half, Ordering::Relaxed);
            total += u64::from(half);
        }
        self.total.store(total, Ordering::Relaxed);
    }
}

fn bucket(value: Duration) -> usize {
    let nanos = crate::time::nanos(value).max(STEPS);
    let exponent = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> exponent) - STEPS;
    ((u64::from(exponent) * STEPS + step) as usize).min(BUCKETS - 1)
}

fn upper_edge(bucket: usize) -> Duration {
    let (exponent, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    Duration::from_nanos((STEPS + step + 1) << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_within_a_step() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis));
        }
        for (quantile, millis) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(quantile).unwrap().as_secs_f64() * 1000.0;
            assert!((0.999..1.07).contains(&(found / millis)), "{quantile}: {found}");
        }
    }

    #[test]
    fn the_past_fades() {
        let histogram = Histogram::new();
        for _ in 0..10_000 {
            histogram.record(Duration::from_secs(1));
        }
        for _ in 0..60_000 {
            histogram.record(Duration::from_millis(1));
        }
        assert!(histogram.quantile(0.99).unwrap() < Duration::from_millis(2));
    }

    #[test]
    fn extremes_find_a_bucket() {
        let histogram = Histogram::new();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert!(histogram.quantile(0.0).unwrap() <= Duration::from_nanos(20));
        assert!(histogram.quantile(1.0).unwrap() > Duration::from_secs(3600));
    }
}
