//! What went wrong, in the terms that decide what happens next: [`Failure`], and the two ways to get one from a
//! result: [`Classify`] for your own error type, [`Classifier`] for types that are not yours.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of failure. Each decides two things: whether the call goes elsewhere, and what the instance gets for it.
/// Every failure is counted by its kind in the statistics of its instance; strategies see it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// No answer in time. Retried elsewhere if the call is idempotent; a fault of the instance.
    Timeout,
    /// The instance failed (5xx, broken answer). Retried elsewhere if the call is idempotent; a fault of the instance;
    /// a `retry_after` rests it.
    Service,
    /// The request was not sent (connection refused, DNS). Retried elsewhere, idempotent or not; a fault of the
    /// instance.
    Unreachable,
    /// A quota is used up (429). Retried outside the instance's quota group; not a fault of the instance. A
    /// `retry_after` rests the whole group.
    LimitExceeded,
    /// "Not me, try another": wrong key, no money, model not deployed. Retried elsewhere, idempotent or not; the
    /// instance is set aside for a minute (or `retry_after`, if that is longer), and for twice as long each further
    /// time, up to an hour. A success, or registering the instance anew, ends that.
    Unusable,
    /// No instance of this service can do it (context too long, content policy). Taken to a
    /// [fallback service](crate::ServiceConfig::fallbacks) if there is one, else returned at once as
    /// [`Error::Unsuitable`](crate::Error::Unsuitable). The instance is unharmed.
    Unsuitable,
    /// The request's own fault (400, 404 of the caller's making). Returned at once, as
    /// [`Error::Rejected`](crate::Error::Rejected); the instance is unharmed.
    Rejected,
}

impl FailureKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Service,
        Self::Unreachable,
        Self::LimitExceeded,
        Self::Unusable,
        Self::Unsuitable,
        Self::Rejected,
    ];

    /// The name in logs, statistics and metrics: `timeout`, `service`, `unreachable`, `limit_exceeded`, `unusable`,
    /// `unsuitable`, `rejected`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Service => "service",
            Self::Unreachable => "unreachable",
            Self::LimitExceeded => "limit_exceeded",
            Self::Unusable => "unusable",
            Self::Unsuitable => "unsuitable",
            Self::Rejected => "rejected",
        }
    }

    /// Whether another instance of the same service may do better, for a call that is idempotent or not.
    pub const fn is_retryable(self, idempotent: bool) -> bool {
        match self {
            Self::Timeout | Self::Service => idempotent,
            Self::Unreachable | Self::LimitExceeded | Self::Unusable => true,
            Self::Unsuitable | Self::Rejected => false,
        }
    }

    /// Whether it is a fault of the instance: `Timeout`, `Service` and `Unreachable`. For strategies and monitoring.
    pub const fn is_fault(self) -> bool {
        matches!(self, Self::Timeout | Self::Service | Self::Unreachable)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// This instance alone.
    Instance,
    /// Every instance of its quota group. The default of [`Failure::limit_exceeded`].
    QuotaGroup,
}

/// One failed attempt, as the balancer sees it: a kind, how long to stay away, and how far it reaches.
///
/// ```
/// use std::time::Duration;
/// use lb_core::{Failure, FailureKind};
///
/// let failure = Failure::limit_exceeded().with_retry_after(Duration::from_secs(20));
/// assert_eq!(failure.kind(), FailureKind::LimitExceeded);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    kind: FailureKind,
    #[serde(with = "crate::config::human::option", skip_serializing_if = "Option::is_none")]
    retry_after: Option<Duration>,
    scope: Scope,
}

impl Failure {
    /// A failure of the given kind, without a `retry_after`, with the scope that the kind usually has.
    pub const fn new(kind: FailureKind) -> Self {
        let scope =
            if matches!(kind, FailureKind::LimitExceeded) { Scope::QuotaGroup } else { Scope::Instance };
        Self { kind, retry_after: None, scope }
    }

    /// See [`FailureKind::Timeout`].
    pub const fn timeout() -> Self {
        Self::new(FailureKind::Timeout)
    }

    /// See [`FailureKind::Service`].
    pub const fn service() -> Self {
        Self::new(FailureKind::Service)
    }

    /// See [`FailureKind::Unreachable`].
    pub const fn unreachable() -> Self {
        Self::new(FailureKind::Unreachable)
    }

    /// See [`FailureKind::LimitExceeded`].
    pub const fn limit_exceeded() -> Self {
        Self::new(FailureKind::LimitExceeded)
    }

    /// See [`FailureKind::Unusable`].
    pub const fn unusable() -> Self {
        Self::new(FailureKind::Unusable)
    }

    /// See [`FailureKind::Unsuitable`].
    pub const fn unsuitable() -> Self {
        Self::new(FailureKind::Unsuitable)
    }

    /// See [`FailureKind::Rejected`].
    pub const fn rejected() -> Self {
        Self::new(FailureKind::Rejected)
    }

    /// How long the provider asked to be left alone. May be days: the instance is parked, no call sleeps that long.
    /// Zero is as if nothing was said. Heeded for `Service`, `LimitExceeded` and `Unusable`.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: impl Into<Option<Duration>>) -> Self {
        self.retry_after = retry_after.into();
        self
    }

    /// Narrows or widens the reach: who rests for `retry_after` and, for `LimitExceeded`, whom the call leaves out for
    /// the rest of the round.
    #[must_use]
    pub const fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The kind.
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// How long the provider asked to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// How far the failure reaches.
    pub const fn scope(&self) -> Scope {
        self.scope
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match self.retry_after {
            Some(after) => write!(f, " (retry after {after:?})"),
            None => Ok(()),
        }
    }
}

/// Tells the balancer what your own error means.
///
/// ```
/// use lb_core::{Classify, Failure};
///
/// enum ChatError { Http(u16), TooLong }
///
/// impl Classify for ChatError {
///     fn classify(&self) -> Failure {
///         match self {
///             ChatError::Http(429) => Failure::limit_exceeded(),
///             ChatError::Http(401 | 403) => Failure::unusable(),
///             ChatError::Http(500..) => Failure::service(),
///             ChatError::Http(_) => Failure::rejected(),
///             ChatError::TooLong => Failure::unsuitable(),
///         }
///     }
/// }
/// ```
pub trait Classify {
    /// What this error means for the call and for the instance.
    fn classify(&self) -> Failure;
}

impl Classify for Failure {
    fn classify(&self) -> Failure {
        *self
    }
}

impl Classify for std::convert::Infallible {
    fn classify(&self) -> Failure {
        match *self {}
    }
}

impl<E: Classify + ?Sized> Classify for Box<E> {
    fn classify(&self) -> Failure {
        (**self).classify()
    }
}

impl<E: Classify + ?Sized> Classify for std::sync::Arc<E> {
    fn classify(&self) -> Failure {
        (**self).classify()
    }
}

/// Connecting failed → [`FailureKind::Unreachable`]; timed out → [`FailureKind::Timeout`]; anything else →
/// [`FailureKind::Service`], since the request may have been sent.
impl Classify for std::io::Error {
    fn classify(&self) -> Failure {
        use std::io::ErrorKind as K;
        match self.kind() {
            K::ConnectionRefused | K::HostUnreachable | K::NetworkUnreachable | K::AddrNotAvailable => {
                Failure::unreachable()
            }
            K::TimedOut => Failure::timeout(),
            _ => Failure::service(),
        }
    }
}

/// Tells the balancer what a result means, where [`Classify`] cannot: for an error type that is not yours, and for an
/// `Ok` that is a failure all the same (an HTTP client's `Ok(503)`).
///
/// Closures implement it:
///
/// ```
/// use lb_core::{CallOptions, Failure};
///
/// let options = CallOptions::new().classify(|result: &Result<u16, std::io::Error>| match result {
///     Ok(500..) => Some(Failure::service()),
///     Ok(_) => None,
///     Err(_) => Some(Failure::unreachable()),
/// });
/// ```
pub trait Classifier<T, E> {
    /// `None` is a success as far as the instance is concerned. An `Err` for which this is `None` is returned to the
    /// caller as rejected, and counts as a success of the instance.
    fn classify(&self, result: &Result<T, E>) -> Option<Failure>;
}

/// The default [`Classifier`]: `Ok` is a success, an error is asked through [`Classify`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ByError;

impl<T, E: Classify> Classifier<T, E> for ByError {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Option<Failure> {
        result.as_ref().err().map(Classify::classify)
    }
}

impl<T, E, F: Fn(&Result<T, E>) -> Option<Failure>> Classifier<T, E> for F {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Option<Failure> {
        self(result)
    }
}
