//! How a call ends when it does not work: [`Error`].
//!
//! Who reads an error wants to know what to do: wait, fix the request, look at the instances, or raise a limit. So the
//! variants are named for that, and each carries what led there.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::ConfigError;
use crate::registry::RegistryError;
use crate::trail::{Attempt, Trail};

/// What the last attempt ended with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause<E> {
    /// The closure's own error.
    Error(E),
    /// The closure did not return in time.
    AttemptTimeout(Duration),
    /// The closure returned an `Ok` that the classifier holds to be a failure.
    Response,
}

impl<E> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(_) => f.write_str("the request failed"),
            Self::AttemptTimeout(after) => write!(f, "no answer within {after:?}"),
            Self::Response => f.write_str("the response was classified as a failure"),
        }
    }
}

impl<E: StdError + 'static> StdError for Cause<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Error(error) => Some(error),
            Self::AttemptTimeout(_) | Self::Response => None,
        }
    }
}

/// Why a service has nobody to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The registry does not know the service.
    Unknown,
    /// The service has a configuration but no instance.
    Empty,
    /// There are instances, but all drain, start, or have weight 0.
    Drained,
    /// All instances said that they cannot serve anybody, and are set aside.
    Unusable,
    /// All instances rest, or have no quota left, for longer than `max_wait`.
    Resting,
    /// All instances are ejected for failing, and the configuration says that calls fail then (`fail_on_panic`).
    AllEjected,
}

/// What every [`Error`] carries: which service, what was tried, and how the last attempt ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallReport<E> {
    /// The service.
    pub service: Arc<str>,
    /// What was tried.
    pub trail: Trail,
    /// How the last attempt ended; `None` if none was made.
    pub cause: Option<Cause<E>>,
    /// How long the call took, from its start to its end, waits included.
    pub elapsed: Duration,
}

/// How a call ends when it does not work.
///
/// `source()` leads to the last cause: the closure's own error, if there was one. `Display` says what happened, what to
/// do about it, and how the last attempt ended.
///
/// ```
/// use lb_core::{Error, RequestError};
///
/// fn status<E>(error: &Error<E>) -> (u16, Option<std::time::Duration>) {
///     let status = match error {
///         Error::Rejected { .. } | Error::Unsuitable { .. } => 400,
///         Error::Overloaded { .. } | Error::NoAvailableInstance { .. } => 503,
///         Error::DeadlineExceeded { .. } => 504,
///         _ => 502,
///     };
///     (status, error.retry_after())
/// }
/// # let _ = status::<RequestError>;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// There is nobody to try: none registered, all drained, or all resting for longer than `max_wait`. At once, without
    /// an attempt, or when a round has ended.
    NoAvailableInstance {
        /// Why.
        reason: Unavailable,
        /// How long until somebody is available, if that is known.
        retry_after: Option<Duration>,
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// All attempts that `max_retries` allows were made. The cause says how the last one ended.
    MaxRetriesExceeded {
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// The deadline has passed, or would have passed in the wait that was due: such a wait is not begun.
    DeadlineExceeded {
        /// How long the next attempt would have been away; `None` if the deadline passed during an attempt.
        retry_after: Option<Duration>,
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// Nobody is available, and too many calls wait already (`max_waiting`).
    Overloaded {
        /// How long until somebody is available, if that is known.
        retry_after: Option<Duration>,
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// The request may have been processed, and the call is not [idempotent](crate::CallOptions::idempotent).
    NotIdempotent {
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// No instance of this service can do it ([`FailureKind::Unsuitable`](crate::FailureKind::Unsuitable)).
    Unsuitable {
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// The request's own fault ([`FailureKind::Rejected`](crate::FailureKind::Rejected)), or an error that the
    /// [`Classifier`](crate::Classifier) holds to be no failure of the instance.
    Rejected {
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// The registry could not be asked for a service that the balancer does not know yet. Once it does, calls do not
    /// depend on the registry.
    Registry {
        /// Its error.
        error: RegistryError,
        /// The call.
        call: Box<CallReport<E>>,
    },
    /// The options of this call cannot be meant.
    InvalidOptions {
        /// The field and what is wrong with it.
        error: ConfigError,
        /// The call.
        call: Box<CallReport<E>>,
    },
}

/// How [`LoadBalancer::pick`](crate::LoadBalancer::pick) ends when there is nobody to pick.
pub type PickError = Error<std::convert::Infallible>;

impl<E> Error<E> {
    /// What every error carries.
    pub fn call(&self) -> &CallReport<E> {
        match self {
            Self::NoAvailableInstance { call, .. }
            | Self::MaxRetriesExceeded { call }
            | Self::DeadlineExceeded { call, .. }
            | Self::Overloaded { call, .. }
            | Self::NotIdempotent { call }
            | Self::Unsuitable { call }
            | Self::Rejected { call }
            | Self::Registry { call, .. }
            | Self::InvalidOptions { call, .. } => call,
        }
    }

    /// The same, by value.
    pub fn into_call(self) -> CallReport<E> {
        match self {
            Self::NoAvailableInstance { call, .. }
            | Self::MaxRetriesExceeded { call }
            | Self::DeadlineExceeded { call, .. }
            | Self::Overloaded { call, .. }
            | Self::NotIdempotent { call }
            | Self::Unsuitable { call }
            | Self::Rejected { call }
            | Self::Registry { call, .. }
            | Self::InvalidOptions { call, .. } => *call,
        }
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.call().service
    }

    /// What was tried, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.call().trail
    }

    /// How the last attempt ended; `None` if none was made.
    pub fn cause(&self) -> Option<&Cause<E>> {
        self.call().cause.as_ref()
    }

    /// The closure's own last error, if the last attempt ended with one.
    pub fn last_error(&self) -> Option<&E> {
        match self.cause()? {
            Cause::Error(error) => Some(error),
            Cause::AttemptTimeout(_) | Cause::Response => None,
        }
    }

    /// The same, by value.
    pub fn into_last_error(self) -> Option<E> {
        match self.into_call().cause? {
            Cause::Error(error) => Some(error),
            Cause::AttemptTimeout(_) | Cause::Response => None,
        }
    }

    /// How long to wait before the same call has a chance, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoAvailableInstance { retry_after, .. }
            | Self::DeadlineExceeded { retry_after, .. }
            | Self::Overloaded { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A short name for logs and metrics: `no_available_instance`, `max_retries_exceeded`, `deadline_exceeded`,
    /// `overloaded`, `not_idempotent`, `unsuitable`, `rejected`, `registry`, `invalid_options`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoAvailableInstance { .. } => "no_available_instance",
            Self::MaxRetriesExceeded { .. } => "max_retries_exceeded",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Overloaded { .. } => "overloaded",
            Self::NotIdempotent { .. } => "not_idempotent",
            Self::Unsuitable { .. } => "unsuitable",
            Self::Rejected { .. } => "rejected",
            Self::Registry { .. } => "registry",
            Self::InvalidOptions { .. } => "invalid_options",
        }
    }
}

impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call();
        write!(f, "service {:?}: ", call.service)?;
        match self {
            Self::NoAvailableInstance { reason, .. } => f.write_str(match reason {
                Unavailable::Unknown => {
                    "the registry does not know it; register an instance or check the name"
                }
                Unavailable::Empty => "it has no instance; register one",
                Unavailable::Drained => "all its instances are drained or have weight 0; undrain one",
                Unavailable::AllEjected => {
                    "all its instances fail and are ejected, and `fail_on_panic` is set; see what they fail with"
                }
                Unavailable::Unusable => "all its instances are unusable; check their keys, accounts and deployments",
                Unavailable::Resting => {
                    "all its instances rest or have no quota left for longer than `max_wait`"
                }
            })?,
            Self::MaxRetriesExceeded { .. } => {
                write!(
                    f,
                    "gave up after {} attempts in {:?} (`max_retries`)",
                    call.trail.len(),
                    call.elapsed
                )?;
            }
            Self::DeadlineExceeded { .. } => {
                write!(f, "gave up after {} attempts in {:?} (`deadline`)", call.trail.len(), call.elapsed)?;
            }
            Self::Overloaded { .. } => {
                f.write_str("too many calls wait for an instance already (`max_waiting`)")?;
            }
            Self::NotIdempotent { .. } => {
                f.write_str(
                    "not repeated, because the request may have been processed and is not idempotent",
                )?;
            }
            Self::Unsuitable { .. } => f.write_str("no instance of this service can do what was asked")?,
            Self::Rejected { .. } => f.write_str("the request was rejected")?,
            Self::Registry { error, .. } => write!(f, "{error}")?,
            Self::InvalidOptions { error, .. } => write!(f, "the call's options are not valid: {error}")?,
        }
        if let Some(after) = self.retry_after() {
            write!(f, "; retry after {after:?}")?;
        }
        if let Some(last) = call.trail.last() {
            write!(f, "; last attempt on {:?}", last.instance)?;
            if let Some(failure) = last.failure {
                write!(f, ": {failure}")?;
            }
        }
        Ok(())
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match (self, self.cause()) {
            (Self::Registry { error, .. }, _) => Some(error),
            (Self::InvalidOptions { error, .. }, _) => Some(error),
            (_, Some(Cause::Error(error))) => Some(error),
            (_, Some(cause)) => Some(cause),
            (_, None) => None,
        }
    }
}
