//! How many requests had which end: [`Counts`].

/// Counters of an instance that only grow, read at one moment. A read is not atomic: requests that end at the same
/// instant may be in one counter and not yet in another, which is an error of a few requests at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests that ended, however.
    pub(crate) finished: u64,
    /// Those that failed by a fault of the instance.
    pub(crate) faults: u64,
    /// Those that say nothing of its health: quotas, rejections, cancellations, …
    pub(crate) neutral: u64,
}

impl Counts {
    /// Requests since `earlier` that succeeded or failed by a fault, and those that succeeded.
    pub(crate) fn since(self, earlier: Self) -> Tally {
        let faults = self.faults.saturating_sub(earlier.faults);
        let ended = self.finished.saturating_sub(earlier.finished);
        let requests = ended.saturating_sub(self.neutral.saturating_sub(earlier.neutral)).max(faults);
        Tally { requests, faults }
    }
}

/// How many requests, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) faults: u64,
}

impl Tally {
    /// The share that succeeded, from 0 to 1; 1 if there was none.
    pub(crate) fn success_rate(self) -> f64 {
        if self.requests == 0 { 1.0 } else { 1.0 - self.faults as f64 / self.requests as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successes_are_what_is_left() {
        let earlier = Counts { finished: 100, faults: 10, neutral: 5 };
        let later = Counts { finished: 130, faults: 15, neutral: 15 };
        let tally = later.since(earlier);
        assert_eq!(tally, Tally { requests: 20, faults: 5 });
        assert!((tally.success_rate() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn failures_that_are_recorded_before_their_request_ends_do_no_harm() {
        let tally = Counts { finished: 0, faults: 3, neutral: 2 }.since(Counts::default());
        assert_eq!(tally, Tally { requests: 3, faults: 3 });
        assert!(tally.success_rate() < 1e-9);
    }
}
