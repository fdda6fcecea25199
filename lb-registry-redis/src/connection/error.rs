//! What can go wrong on the way to Redis.

use std::time::Duration;

use thiserror::Error;

/// Redis could not be asked, or refused. The source of
/// [`RegistryError::Backend`](lb_core::RegistryError::Backend) in this registry.
///
/// ```
/// use std::error::Error;
/// use lb_core::RegistryError;
/// use lb_registry_redis::ConnectionError;
///
/// fn is_outage(error: &RegistryError) -> bool {
///     let source = error.source().and_then(|source| source.downcast_ref::<ConnectionError>());
///     !matches!(source, None | Some(ConnectionError::Refused { .. }))
/// }
/// # assert!(!is_outage(&RegistryError::Closed));
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// There is no connection. It is tried again and again in the background.
    #[error("not connected to Redis{}; it is being tried again", because(.last.as_deref()))]
    NotConnected {
        /// Why the last attempt failed, if one did.
        last: Option<String>,
    },
    /// No answer in time. What was asked may still be done.
    #[error("no answer from Redis within {after:?}; what was asked may still be done")]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke. What was asked may have been done.
    #[error("the connection to Redis was lost ({problem}); what was asked may have been done")]
    Lost {
        /// What was seen.
        problem: String,
    },
    /// The server is not ready to serve: it loads its data, is a replica, or its Cluster is down or moves slots.
    #[error("Redis cannot serve now: {problem}")]
    NotReady {
        /// The server's words.
        problem: String,
    },
    /// The server refused: permissions, memory, a wrong type.
    #[error("Redis refused: {problem}{}", cure(.problem))]
    Refused {
        /// The server's words.
        problem: String,
    },
    /// The server answered something that nobody asked for.
    #[error("Redis answered something unexpected to {operation}; is it another program's key?")]
    Unexpected {
        /// What was asked.
        operation: &'static str,
    },
}

fn because(last: Option<&str>) -> String {
    last.map_or_else(String::new, |last| format!(" ({last})"))
}

fn cure(problem: &str) -> &'static str {
    if problem.contains("NOPERM") || problem.contains("permission") {
        "; see the ACL rules in the operations guide"
    } else if problem.contains("OOM") {
        "; raise `maxmemory` or free some"
    } else {
        ""
    }
}

/// An address of Redis that cannot be used.
///
/// ```
/// use lb_core::Instance;
/// use lb_registry_redis::RedisRegistry;
///
/// let error = RedisRegistry::<Instance>::builder("http://127.0.0.1:6379").unwrap_err();
/// assert!(error.to_string().contains("redis+sentinel://"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error(
    "the address of Redis cannot be used: {problem}; give redis://host:port, redis+sentinel://host:port,host:port/master, \
     or redis+cluster://host:port,host:port (rediss… for TLS), each with an optional user:password@"
)]
pub struct AddressError {
    /// What is wrong with it. Does not contain the address, which may contain a password.
    pub problem: &'static str,
}
