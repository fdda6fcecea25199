//! How an attempt ended, as strategies see it.

use std::time::Duration;

use crate::failure::{Failure, FailureKind};
use crate::time::Time;

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// It worked, as far as the instance is concerned.
    Success,
    /// It failed.
    Failure(Failure),
    /// It was dropped before it had an outcome; the elapsed time is a lower bound of what it would have taken.
    Cancelled,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// What came of it.
    pub kind: OutcomeKind,
    /// From the pick to the end.
    pub elapsed: Duration,
    /// How long the attempt could have taken at most, if that was limited.
    pub timeout: Option<Duration>,
    /// When it ended, by the clock of the picks. The pool notes it
    /// ([`Pool::record`](crate::pool::Pool::record)) before it tells the strategy; [`Time::ORIGIN`] until then.
    pub at: Time,
}

impl Outcome {
    /// A success after `elapsed`.
    pub const fn success(elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Success, elapsed, timeout: None, at: Time::ORIGIN }
    }

    /// A failure after `elapsed`.
    pub const fn failure(failure: Failure, elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Failure(failure), elapsed, timeout: None, at: Time::ORIGIN }
    }

    /// A cancellation after `elapsed`.
    pub const fn cancelled(elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Cancelled, elapsed, timeout: None, at: Time::ORIGIN }
    }

    /// The same, with the limit that the attempt had.
    pub const fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same, with the time at which it ended.
    #[must_use]
    pub const fn ended_at(mut self, at: Time) -> Self {
        self.at = at;
        self
    }

    /// What a failure counts as, at least, in [`load_sample`](Self::load_sample).
    pub const PENALTY: Duration = Duration::from_secs(1);
    /// What a `Retry-After` counts as, at most: the rest that it asks for is kept by the balancer anyway.
    const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

    /// The latency that a strategy which learns from latencies should learn from this outcome; `None`: nothing.
    ///
    /// An instance that fails at once must not look like the fastest of all and draw all requests. So a failure counts
    /// as slow: as the longest of the time that it took, the time that it could have taken
    /// ([`timeout`](Self::timeout)), the `Retry-After` (up to a minute) and [`PENALTY`](Self::PENALTY). That holds for
    /// quotas and unusable keys, too, but not for requests that were [rejected](FailureKind::Rejected) or
    /// [unsuitable](FailureKind::Unsuitable): those teach nothing, since they may be turned down in no time by an
    /// instance that is slow otherwise.
    ///
    /// A cancelled attempt would have taken longer than it did: its sample [is a lower
    /// bound](Self::is_lower_bound), to be learned from only if it is above what is believed already.
    ///
    /// ```
    /// use std::time::Duration;
    /// use lb_core::{Failure, strategy::Outcome};
    ///
    /// let ms = Duration::from_millis;
    /// assert_eq!(Outcome::success(ms(20)).load_sample(), Some(ms(20)));
    /// assert_eq!(Outcome::failure(Failure::service(), ms(1)).load_sample(), Some(Outcome::PENALTY));
    /// assert_eq!(Outcome::failure(Failure::rejected(), ms(1)).load_sample(), None);
    /// ```
    pub fn load_sample(&self) -> Option<Duration> {
        self.load_sample_where_usual_is(Duration::ZERO)
    }

    /// The same where a request usually takes `usual`: a failure counts as at least ten times that. For services that
    /// are slower than [`PENALTY`](Self::PENALTY), such as language models.
    pub fn load_sample_where_usual_is(&self, usual: Duration) -> Option<Duration> {
        let failure = match &self.kind {
            OutcomeKind::Success | OutcomeKind::Cancelled => return Some(self.elapsed),
            OutcomeKind::Failure(failure) => failure,
        };
        if matches!(failure.kind(), FailureKind::Rejected | FailureKind::Unsuitable) {
            return None;
        }
        let retry_after = failure.retry_after().unwrap_or_default().min(Self::LONGEST_RETRY_AFTER);
        let slow = [self.timeout.unwrap_or_default(), retry_after, Self::PENALTY, usual.saturating_mul(10)];
        slow.into_iter().max().map(|slow| slow.max(self.elapsed))
    }

    /// Whether the attempt would have taken longer than it did: it was cancelled.
    pub const fn is_lower_bound(&self) -> bool {
        matches!(self.kind, OutcomeKind::Cancelled)
    }

    /// Whether it worked.
    pub const fn is_success(&self) -> bool {
        matches!(self.kind, OutcomeKind::Success)
    }

    /// The failure, if it was one.
    pub const fn as_failure(&self) -> Option<&Failure> {
        match &self.kind {
            OutcomeKind::Failure(failure) => Some(failure),
            OutcomeKind::Success | OutcomeKind::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_is_slow_however_fast_it_was() {
        let fast = |failure| Outcome::failure(failure, MS);
        assert_eq!(fast(Failure::service()).load_sample(), Some(SECOND));
        assert_eq!(
            fast(Failure::unreachable()).with_timeout(Some(5 * SECOND)).load_sample(),
            Some(5 * SECOND)
        );
        let limited = |secs| fast(Failure::limit_exceeded().with_retry_after(secs * SECOND));
        assert_eq!(limited(20).load_sample(), Some(20 * SECOND));
        assert_eq!(limited(100_000).load_sample(), Some(60 * SECOND), "days would never be forgotten");
        assert_eq!(fast(Failure::unusable()).load_sample(), Some(SECOND));
        assert_eq!(Outcome::failure(Failure::timeout(), 9 * SECOND).load_sample(), Some(9 * SECOND));
        let slow_service = fast(Failure::service()).load_sample_where_usual_is(8 * SECOND);
        assert_eq!(slow_service, Some(80 * SECOND), "10 s would look good among answers of 8 s");
    }

    #[test]
    fn the_requests_own_faults_teach_nothing() {
        for failure in [Failure::rejected(), Failure::unsuitable()] {
            assert_eq!(Outcome::failure(failure, MS).load_sample(), None);
        }
    }

    #[test]
    fn a_cancellation_is_a_lower_bound() {
        let outcome = Outcome::cancelled(3 * SECOND).with_timeout(Some(60 * SECOND));
        assert_eq!((outcome.load_sample(), outcome.is_lower_bound()), (Some(3 * SECOND), true));
        assert!(!Outcome::success(SECOND).is_lower_bound());
        assert!(!Outcome::failure(Failure::timeout(), SECOND).is_lower_bound());
    }
}
