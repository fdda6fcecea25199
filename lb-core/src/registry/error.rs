//! What can go wrong when talking to a registry.

use std::error::Error as StdError;
use std::sync::Arc;

use thiserror::Error;

use super::snapshot::Revision;
use crate::config::ConfigError;

/// A registry refused or failed. `Clone`, because callers that asked together share the answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The service's name cannot be used.
    #[error("service {service:?} cannot be used: {problem}")]
    InvalidService {
        /// The name that was given.
        service: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The instance cannot be registered.
    #[error("instance {id:?} of service {service:?} cannot be registered: {problem}")]
    InvalidInstance {
        /// The service.
        service: String,
        /// The id that was given.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The service has no instance of that id.
    #[error("service {service:?} has no instance {id:?}; register it first")]
    UnknownInstance {
        /// The service.
        service: String,
        /// The id that was given.
        id: String,
    },
    /// Somebody else changed the configuration first.
    #[error(
        "the configuration of service {service:?} is at revision {actual}, not at {expected}; read it again and redo \
         the change"
    )]
    Conflict {
        /// The service.
        service: String,
        /// The revision that the caller had read.
        expected: Revision,
        /// The revision that is in force.
        actual: Revision,
    },
    /// The configuration is not valid.
    #[error("the configuration of service {service:?} is not valid: {error}")]
    InvalidConfig {
        /// The service.
        service: String,
        /// The field and what is wrong with it.
        #[source]
        error: ConfigError,
    },
    /// The registry has been closed, in this process.
    #[error("the registry has been closed")]
    Closed,
    /// The store behind the registry failed.
    #[error("the registry cannot {operation} (service {service:?})")]
    Backend {
        /// What was tried, as a verb: `register`, `watch`.
        operation: &'static str,
        /// The service.
        service: String,
        /// The store's own error.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
}

impl RegistryError {
    /// The store behind the registry failed.
    pub fn backend(
        operation: &'static str,
        service: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Backend { operation, service: service.into(), source: Arc::from(source.into()) }
    }
}
