//! How a call ends without an answer: [`End`], and the error that says so.

use std::time::Duration;

use super::retry::Retry;
use crate::config::ConfigError;
use crate::error::{CallReport, Cause, Error, Unavailable};
use crate::instance::ServiceInstance;
use crate::plan::Stop;
use crate::pool::NoPick;
use crate::registry::RegistryError;
use crate::time::Clock;

/// Why a call ends without an answer, before it is put into words.
pub(super) enum End {
    Stop(Stop),
    Overloaded(Option<Duration>),
    Registry(RegistryError),
    InvalidOptions(ConfigError),
}

impl End {
    pub(super) fn rejected() -> Self {
        Self::Stop(Stop::Rejected)
    }

    /// Whether another service could do better.
    pub(super) fn may_fall_back(&self) -> bool {
        match self {
            Self::Overloaded(_) => true,
            Self::Stop(stop) => matches!(
                stop,
                Stop::Nobody(_)
                    | Stop::RoundOver
                    | Stop::Resting { .. }
                    | Stop::Unusable { .. }
                    | Stop::Unsuitable
                    // The deadline would pass while waiting here: there is time left elsewhere.
                    | Stop::Deadline { retry_after: Some(_) }
            ),
            Self::Registry(_) | Self::InvalidOptions(_) => false,
        }
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<RegistryError> for End {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl<I: ServiceInstance, C> Retry<'_, I, C> {
    fn report<E>(&mut self, cause: Option<Cause<E>>) -> CallReport<E> {
        CallReport {
            service: self.call.target.name().into(),
            trail: std::mem::take(&mut self.trail),
            cause,
            elapsed: self.call.clock().now().since(self.call.started),
        }
    }

    /// Puts the end of a call into words.
    #[cold]
    pub(super) fn error<E>(&mut self, end: End, cause: Option<Cause<E>>) -> Error<E> {
        let call = Box::new(self.report(cause));
        let error = match end {
            End::Registry(error) => Error::Registry { error, call },
            End::InvalidOptions(error) => Error::InvalidOptions { error, call },
            End::Overloaded(retry_after) => Error::Overloaded { retry_after, call },
            End::Stop(Stop::Rejected) => Error::Rejected { call },
            End::Stop(Stop::Unsuitable) => Error::Unsuitable { call },
            End::Stop(Stop::NotIdempotent) => Error::NotIdempotent { call },
            End::Stop(Stop::MaxRetries | Stop::RoundOver) => Error::MaxRetriesExceeded { call },
            End::Stop(Stop::Deadline { retry_after }) => Error::DeadlineExceeded { retry_after, call },
            End::Stop(Stop::Unusable { retry_after }) => {
                Error::NoAvailableInstance { reason: Unavailable::Unusable, retry_after, call }
            }
            End::Stop(Stop::Resting { retry_after }) => {
                Error::NoAvailableInstance { reason: Unavailable::Resting, retry_after, call }
            }
            End::Stop(Stop::Nobody(why)) => {
                let reason = match why {
                    NoPick::Unknown => Unavailable::Unknown,
                    NoPick::Empty => Unavailable::Empty,
                    NoPick::Drained => Unavailable::Drained,
                    NoPick::NoneEligible => Unavailable::Resting,
                    NoPick::AllEjected => Unavailable::AllEjected,
                };
                Error::NoAvailableInstance { reason, retry_after: None, call }
            }
        };
        self.call.count_error(error.kind());
        // The caller's own doing: not worth a warning.
        if matches!(error, Error::Rejected { .. } | Error::Unsuitable { .. }) {
            return error;
        }
        let call = error.call();
        let last = call.trail.last();
        let cause =
            last.and_then(|attempt| attempt.failure).map_or("none", |failure| failure.kind().as_str());
        tracing::warn!(
            service = %call.service, kind = error.kind(), instance = last.map_or("", |attempt| &*attempt.instance),
            attempts = call.trail.len(), cause, elapsed = ?call.elapsed, %error, trail = %call.trail.ending(8),
            "call gave up"
        );
        error
    }
}
