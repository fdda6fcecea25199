//! An error type for closures that have none of their own: [`RequestError`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::failure::{Classify, Failure, FailureKind};

/// A ready-made error with the kinds that matter to the balancer, a message, and the cause.
///
/// ```
/// use std::time::Duration;
/// use lb_core::RequestError;
///
/// fn check(status: u16, retry_after: Option<u64>) -> Result<(), RequestError> {
///     match status {
///         429 => Err(RequestError::limit_exceeded("rate limit").with_retry_after(
///             retry_after.map(Duration::from_secs))),
///         401 => Err(RequestError::unusable("the key is not valid")),
///         500.. => Err(RequestError::service(format!("status {status}"))),
///         _ => Ok(()),
///     }
/// }
/// # check(200, None).unwrap();
/// ```
///
/// One pointer: what an answer that is no error is handed on with does not grow by what an error has to say.
pub struct RequestError(Box<Facts>);

#[derive(Debug)]
struct Facts {
    failure: Failure,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident,)*) => {$(
        $(#[$doc])*
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(FailureKind::$kind, message)
        }
    )*};
}

impl RequestError {
    #[cold]
    fn of(
        failure: Failure,
        message: Cow<'static, str>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Facts { failure, message, source }))
    }

    /// An error of the given kind.
    pub fn new(kind: FailureKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Failure::new(kind), message.into(), None)
    }

    constructors! {
        /// No answer in time ([`FailureKind::Timeout`]).
        timeout => Timeout,
        /// The instance failed ([`FailureKind::Service`]).
        service => Service,
        /// The request was not sent ([`FailureKind::Unreachable`]).
        unreachable => Unreachable,
        /// A quota is used up ([`FailureKind::LimitExceeded`]).
        limit_exceeded => LimitExceeded,
        /// This instance cannot serve anybody ([`FailureKind::Unusable`]).
        unusable => Unusable,
        /// No instance of this service can do it ([`FailureKind::Unsuitable`]).
        unsuitable => Unsuitable,
        /// The request's own fault ([`FailureKind::Rejected`]).
        rejected => Rejected,
    }

    /// How long the provider asked to be left alone, if it did: takes a `Duration` or an `Option` of one. See
    /// [`Failure::with_retry_after`].
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: impl Into<Option<Duration>>) -> Self {
        if let Some(after) = retry_after.into() {
            self.0.failure = self.0.failure.with_retry_after(after);
        }
        self
    }

    /// The error underneath, kept in the `source()` chain.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the balancer makes of it.
    pub fn failure(&self) -> Failure {
        self.0.failure
    }

    /// The kind.
    pub fn kind(&self) -> FailureKind {
        self.0.failure.kind()
    }

    /// The message it was made with.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl Classify for RequestError {
    fn classify(&self) -> Failure {
        self.0.failure
    }
}

impl fmt::Debug for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { failure, message, source } = &*self.0;
        f.debug_struct("RequestError")
            .field("failure", failure)
            .field("message", message)
            .field("source", source)
            .finish()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.failure, self.0.message)
    }
}

impl StdError for RequestError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for RequestError {
    fn from(error: std::io::Error) -> Self {
        let failure = error.classify();
        Self::of(failure, "i/o error".into(), Some(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_cause_and_says_what_it_is() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        let error = RequestError::from(io);
        assert_eq!(error.kind(), FailureKind::Unreachable);
        assert_eq!(error.source().unwrap().to_string(), "refused");
        let error = RequestError::limit_exceeded("slow down").with_retry_after(Duration::from_secs(3));
        assert_eq!(error.to_string(), "limit_exceeded (retry after 3s): slow down");
    }
}
