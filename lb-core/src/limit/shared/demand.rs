//! How much a process will need next: [`Demand`].

use std::time::Duration;

/// Estimates one dimension's demand from what was used and whether somebody was sent away. Pure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Per second, averaged.
    rate: f64,
    /// What was asked for last.
    last: u64,
}

/// Half of an old rate is forgotten in that time.
const HALF_LIFE: f64 = 0.5;
/// Less than that is not worth a lease.
const NOTHING: f64 = 0.05;

impl Demand {
    /// What to have at hand for the next `horizon`, given what was `used` in the last `elapsed`, and whether more was
    /// `wanted` than there was. At most `most`.
    pub(super) fn next(
        &mut self,
        used: u64,
        wanted: bool,
        elapsed: Duration,
        horizon: Duration,
        most: u64,
    ) -> u64 {
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let kept = 0.5_f64.powf(seconds / HALF_LIFE);
        self.rate = self.rate.mul_add(kept, used as f64 / seconds * (1.0 - kept));
        // A quarter more than the average, because demand is not even.
        let expected = self.rate * horizon.as_secs_f64() * 1.25;
        let expected = if expected < NOTHING { 0 } else { expected.ceil() as u64 };
        let next = if wanted { expected.max(self.last.saturating_mul(2)).max(1) } else { expected };
        self.last = next.min(most);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(250);

    #[test]
    fn follows_what_is_used() {
        let mut demand = Demand::default();
        assert_eq!(demand.next(0, false, STEP, STEP, 1000), 0);
        let mut at_hand = 0;
        for _ in 0..20 {
            at_hand = demand.next(100, false, STEP, STEP, 1000);
        }
        assert!((100..=130).contains(&at_hand), "{at_hand}");
        for _ in 0..40 {
            at_hand = demand.next(0, false, STEP, STEP, 1000);
        }
        assert!(at_hand <= 1, "{at_hand}");
    }

    #[test]
    fn doubles_where_more_is_wanted_up_to_the_bound() {
        let mut demand = Demand::default();
        let asked: Vec<u64> = (0..6).map(|_| demand.next(0, true, STEP, STEP, 10)).collect();
        assert_eq!(asked, [1, 2, 4, 8, 10, 10]);
    }
}
