//! What a provider said of one dimension of a quota: [`Said`].

use std::time::Duration;

use super::bucket::Bucket;
use super::learn;
use crate::time::Time;

/// What a provider said of one dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) left: u64,
    pub(super) limit: Option<u64>,
    pub(super) reset_after: Option<Duration>,
}

impl Said {
    /// Puts it into force in `bucket`, of which `in_use` are not accounted for by the provider yet; returns the rate, per
    /// second, that follows. `known`: the rate that followed before.
    pub(super) fn put_in_force(
        self,
        bucket: &Bucket,
        in_use: u64,
        known: Option<f64>,
        now: Time,
    ) -> Option<f64> {
        let reset = self.reset_after.filter(|reset| !reset.is_zero())?.as_secs_f64();
        let (rate, depth) = match self.limit {
            Some(limit) => {
                let used = limit.saturating_sub(self.left);
                let enough = known.is_none() || used >= (limit / 2).min(8);
                let rate = if enough && used > 0 { used as f64 / reset } else { known? };
                // Of a bucket the quotient is its rate; of a fixed window it rises without end.
                (known.map_or(rate, |known| rate.clamp(known * 0.5, known * 1.1)), limit.max(1))
            }
            None => (self.left.max(1) as f64 / reset, self.left.max(1)),
        };
        let interval = learn::interval(rate);
        bucket.set_nanos(interval, interval.saturating_mul(depth));
        bucket.fill_to(self.left.saturating_sub(in_use), now);
        Some(rate)
    }
}
