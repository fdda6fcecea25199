//! What a call has tried: [`Trail`]. "It failed after five attempts" is of little help; where, how and why there is.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::human;
use crate::failure::Failure;
use crate::member::Member;

/// Why an attempt was made where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// The call's first attempt.
    First,
    /// At once after a failure, on an instance that this round had not tried.
    Failover,
    /// After a wait.
    Retry,
    /// At once on a fallback service.
    Fallback,
    /// Beside an attempt that took unusually long.
    Hedge,
}

impl Why {
    /// The name in statistics and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Failover => "failover",
            Self::Retry => "retry",
            Self::Fallback => "fallback",
            Self::Hedge => "hedge",
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The service: the one that was called, or a fallback.
    pub service: Arc<str>,
    /// The instance's id.
    pub instance: Arc<str>,
    /// What came of it; `None` is a success.
    pub failure: Option<Failure>,
    /// How long it took, from the pick to its end. Serialised in a human form (`"1s 500ms"`).
    #[serde(with = "human")]
    pub elapsed: Duration,
    /// Why it was made there.
    pub why: Why,
}

impl Attempt {
    pub(crate) fn new<I>(member: &Member<I>, failure: Option<Failure>, elapsed: Duration, why: Why) -> Self {
        Self {
            service: Arc::clone(member.service()),
            instance: Arc::clone(member.id()),
            failure,
            elapsed,
            why,
        }
    }
}

/// The attempts of one call, in order. Derefs to a slice; `Display` is one line for logs:
/// `a: service after 3ms, b: ok after 5ms`. In every [`Error`](crate::Error), and for a success from
/// [`execute_traced`](crate::LoadBalancer::execute_traced).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Trail(pub(crate) Vec<Attempt>);

impl Deref for Trail {
    type Target = [Attempt];
    fn deref(&self) -> &[Attempt] {
        &self.0
    }
}

impl Trail {
    /// The last `n` attempts, in words: a call may have made a hundred.
    pub(crate) fn ending(&self, n: usize) -> impl fmt::Display + '_ {
        Ending(&self.0, n)
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ending(usize::MAX).fmt(f)
    }
}

struct Ending<'a>(&'a [Attempt], usize);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.0.len().saturating_sub(self.1);
        if left_out > 0 {
            write!(f, "{left_out} earlier, ")?;
        }
        for (n, attempt) in self.0[left_out..].iter().enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{}: ", attempt.instance)?;
            match attempt.failure {
                Some(failure) => write!(f, "{failure}")?,
                None => f.write_str("ok")?,
            }
            write!(f, " after {:?}", attempt.elapsed)?;
        }
        Ok(())
    }
}
