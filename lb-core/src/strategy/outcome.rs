//! How an attempt ended, as strategies see it.

use std::time::Duration;

use crate::failure::Failure;

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
}

impl Outcome {
    /// A success after `elapsed`.
    pub const fn success(elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Success, elapsed, timeout: None }
    }

    /// A failure after `elapsed`.
    pub const fn failure(failure: Failure, elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Failure(failure), elapsed, timeout: None }
    }

    /// A cancellation after `elapsed`.
    pub const fn cancelled(elapsed: Duration) -> Self {
        Self { kind: OutcomeKind::Cancelled, elapsed, timeout: None }
    }

    /// The same, with the limit that the attempt had.
    pub const fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
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
