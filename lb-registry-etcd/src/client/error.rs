//! What can go wrong between this process and etcd: [`EtcdError`].

use std::fmt;
use std::time::Duration;

use etcd_client::Error;
use lb_core::RegistryError;

/// A request to etcd that failed, or an endpoint that cannot be used: what was tried, where, and what kind of failure
/// it is. Never contains a password or a value.
///
/// It is the source of [`RegistryError::Backend`]; [`behind`](Self::behind) finds it there.
///
/// ```
/// use lb_registry_etcd::{EtcdErrorKind, EtcdRegistry};
/// use lb_core::Instance;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = EtcdRegistry::<Instance>::connect(["not an endpoint"]).await.unwrap_err();
/// assert!(error.to_string().contains("not an endpoint"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdError {
    operation: &'static str,
    endpoint: String,
    kind: EtcdErrorKind,
    message: String,
}

/// What kind of failure an [`EtcdError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtcdErrorKind {
    /// An endpoint, certificate or setting that cannot be used.
    Invalid,
    /// No answer in time. A write may have been done, or may yet be.
    Timeout,
    /// The member cannot be reached, or went away, or has no leader. A write may have been done.
    Unavailable,
    /// The user's name, password or token is not accepted.
    Unauthenticated,
    /// The user may not do this; the chapter on operations has the permissions that are needed.
    PermissionDenied,
    /// A user was given, but authentication is not enabled on the server.
    AuthNotEnabled,
    /// The space quota of etcd is used up (`NOSPACE`): compact, defragment, `etcdctl alarm disarm`.
    NoSpace,
    /// The revision that was asked for has been compacted.
    Compacted,
    /// The lease is unknown to etcd: it has expired or was revoked.
    LeaseNotFound,
    /// A message is larger than the server or this client takes.
    TooLarge,
    /// Anything else; the message is the server's.
    Other,
}

impl EtcdErrorKind {
    /// Whether another member may do better.
    pub(crate) const fn is_elsewhere(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Other)
    }

    /// Whether the request may have been carried out all the same.
    pub(crate) const fn is_ambiguous(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Other)
    }

    /// Whether a new token may help.
    pub(crate) const fn is_auth(self) -> bool {
        matches!(self, Self::Unauthenticated | Self::PermissionDenied)
    }

    /// What to do about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Invalid => "correct the setting",
            Self::Timeout | Self::Unavailable => "is it running and reachable?",
            Self::Unauthenticated => "check the user's name and password",
            Self::PermissionDenied => "grant the role readwrite on the registry's prefix",
            Self::AuthNotEnabled => "enable authentication, or connect without a user",
            Self::NoSpace => "compact, defragment, then `etcdctl alarm disarm`",
            Self::Compacted | Self::LeaseNotFound => "it is taken up anew",
            Self::TooLarge => "make the instance or configuration smaller",
            Self::Other => "see etcd's log",
        }
    }
}

/// gRPC's numbers for the codes that matter here.
mod code {
    pub(super) const CANCELLED: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// The kind of a gRPC status. etcd says by its text what the code alone does not.
fn kind_of(code: i32, message: &str) -> EtcdErrorKind {
    let says = |text: &str| message.contains(text);
    if says("has been compacted") {
        EtcdErrorKind::Compacted
    } else if says("lease not found") {
        EtcdErrorKind::LeaseNotFound
    } else if says("space exceeded") {
        EtcdErrorKind::NoSpace
    } else if says("is too large") || says("message length too large") || says("larger than max") {
        EtcdErrorKind::TooLarge
    } else if says("authentication is not enabled") {
        EtcdErrorKind::AuthNotEnabled
    } else if code == code::PERMISSION_DENIED || says("permission denied") {
        EtcdErrorKind::PermissionDenied
    } else if code == code::UNAUTHENTICATED
        || says("auth token")
        || says("revision of auth store")
        || (code == code::INVALID_ARGUMENT && (says("user name") || says("authentication failed")))
    {
        EtcdErrorKind::Unauthenticated
    } else {
        match code {
            code::DEADLINE_EXCEEDED => EtcdErrorKind::Timeout,
            // The client's own timeout, or a connection that could not be made after all.
            code::CANCELLED if says("Timeout") => EtcdErrorKind::Timeout,
            code::CANCELLED | code::UNAVAILABLE => EtcdErrorKind::Unavailable,
            // What the transport reports of a broken connection.
            code::UNKNOWN if says("h2 protocol") || says("transport") || says("connection") => {
                EtcdErrorKind::Unavailable
            }
            _ => EtcdErrorKind::Other,
        }
    }
}

/// The kind that a reason for the end of a watch stands for.
pub(crate) fn kind_of_reason(reason: &str) -> EtcdErrorKind {
    if reason.is_empty() { EtcdErrorKind::Other } else { kind_of(code::UNKNOWN, reason) }
}

impl EtcdError {
    pub(crate) fn new(
        operation: &'static str,
        endpoint: impl Into<String>,
        kind: EtcdErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { operation, endpoint: endpoint.into(), kind, message: message.into() }
    }

    pub(crate) fn timeout(operation: &'static str, endpoint: &str, after: Duration) -> Self {
        Self::new(operation, endpoint, EtcdErrorKind::Timeout, format!("no answer within {after:?}"))
    }

    pub(crate) fn of(operation: &'static str, endpoint: &str, error: &Error) -> Self {
        let (kind, message) = match error {
            Error::GRpcStatus(status) => {
                (kind_of(i32::from(status.code()), status.message()), status.message().to_owned())
            }
            Error::LeaseKeepAliveError(message) => {
                let lost = message.contains("lease not found");
                let kind = if lost { EtcdErrorKind::LeaseNotFound } else { EtcdErrorKind::Unavailable };
                (kind, message.clone())
            }
            Error::InvalidArgs(_) | Error::InvalidUri(_) | Error::InvalidMetadataValue(_) => {
                (EtcdErrorKind::Invalid, error.to_string())
            }
            Error::IoError(_) | Error::TransportError(_) | Error::WatchError(_) | Error::EndpointError(_) => {
                (EtcdErrorKind::Unavailable, error.to_string())
            }
            _ => (EtcdErrorKind::Other, error.to_string()),
        };
        Self::new(operation, endpoint, kind, message)
    }

    /// The error of etcd behind an error of the registry, if it is one.
    ///
    /// ```
    /// use lb_core::RegistryError;
    /// use lb_registry_etcd::{EtcdError, EtcdErrorKind};
    ///
    /// fn is_full(error: &RegistryError) -> bool {
    ///     EtcdError::behind(error).is_some_and(|error| error.kind() == EtcdErrorKind::NoSpace)
    /// }
    /// assert!(!is_full(&RegistryError::Closed));
    /// ```
    pub fn behind(error: &RegistryError) -> Option<&Self> {
        match error {
            RegistryError::Backend { source, .. } => (**source).downcast_ref(),
            _ => None,
        }
    }

    /// What kind of failure it is.
    pub const fn kind(&self) -> EtcdErrorKind {
        self.kind
    }

    /// The endpoint that was asked; empty if it is not about one.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "etcd")?;
        if !self.endpoint.is_empty() {
            write!(f, " at {}", self.endpoint)?;
        }
        write!(f, " cannot {}: {} ({})", self.operation, self.message, self.kind.advice())
    }
}

impl std::error::Error for EtcdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_kind_that_its_text_says() {
        for (code, message, kind) in [
            (11, "etcdserver: mvcc: required revision has been compacted", EtcdErrorKind::Compacted),
            (8, "grpc: received message larger than max (2097300 vs. 2097152)", EtcdErrorKind::TooLarge),
            (11, "Error, decoded message length too large: found 5 bytes", EtcdErrorKind::TooLarge),
            (8, "etcdserver: mvcc: database space exceeded", EtcdErrorKind::NoSpace),
            (5, "etcdserver: requested lease not found", EtcdErrorKind::LeaseNotFound),
            (14, "etcdserver: no leader", EtcdErrorKind::Unavailable),
            (14, "etcdserver: request timed out", EtcdErrorKind::Unavailable),
            (16, "etcdserver: invalid auth token", EtcdErrorKind::Unauthenticated),
            (
                3,
                "etcdserver: authentication failed, invalid user ID or password",
                EtcdErrorKind::Unauthenticated,
            ),
            (3, "etcdserver: user name is empty", EtcdErrorKind::Unauthenticated),
            (3, "etcdserver: revision of auth store is old", EtcdErrorKind::Unauthenticated),
            (7, "etcdserver: permission denied", EtcdErrorKind::PermissionDenied),
            (9, "etcdserver: authentication is not enabled", EtcdErrorKind::AuthNotEnabled),
            (1, "Timeout expired", EtcdErrorKind::Timeout),
            (1, "operation was canceled", EtcdErrorKind::Unavailable),
            (2, "h2 protocol error: error reading a body from connection", EtcdErrorKind::Unavailable),
            (2, "transport error", EtcdErrorKind::Unavailable),
            (13, "boom", EtcdErrorKind::Other),
        ] {
            assert_eq!(kind_of(code, message), kind, "{code} {message}");
        }
    }

    #[test]
    fn the_message_names_the_endpoint_and_the_way_out() {
        let error = EtcdError::new("list", "http://a:1", EtcdErrorKind::NoSpace, "database space exceeded");
        assert_eq!(
            error.to_string(),
            "etcd at http://a:1 cannot list: database space exceeded (compact, defragment, then `etcdctl alarm disarm`)"
        );
    }
}
