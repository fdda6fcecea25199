//! Checks that every registry makes before it stores anything, so that what one registry takes, all take.
//!
//! ```
//! use lb_core::registry::validate;
//!
//! assert!(validate::service("cart/v2 (eu)").is_ok());
//! assert!(validate::service("").is_err());
//! assert!(validate::instance("cart", "a\nb").is_err());
//! ```

use super::error::RegistryError;
use crate::config::{ConfigError, ServiceConfig};

/// The longest name of a service and the longest id of an instance, in bytes.
pub const MAX_NAME: usize = 256;

/// Checks the name of a service: 1 to 256 bytes, no control characters.
pub fn service(name: &str) -> Result<(), RegistryError> {
    match problem(name) {
        Some(problem) => Err(RegistryError::InvalidService { service: name.into(), problem }),
        None => Ok(()),
    }
}

/// Checks the id of an instance: 1 to 256 bytes, no control characters.
pub fn instance(service: &str, id: &str) -> Result<(), RegistryError> {
    match problem(id) {
        Some(problem) => Err(RegistryError::InvalidInstance {
            service: service.into(),
            id: id.into(),
            problem: problem.into(),
        }),
        None => Ok(()),
    }
}

/// Checks a service's configuration: a service cannot be its own fallback.
pub fn config(service: &str, config: &ServiceConfig) -> Result<(), RegistryError> {
    if config.fallbacks().iter().any(|fallback| fallback == service) {
        let error = ConfigError::Invalid {
            field: "fallbacks",
            value: format!("{:?}", config.fallbacks()),
            problem: "a service cannot be its own fallback",
        };
        return Err(RegistryError::InvalidConfig { service: service.into(), error });
    }
    Ok(())
}

fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty; give it a name")
    } else if name.len() > MAX_NAME {
        Some("it is longer than 256 bytes")
    } else if name.chars().any(char::is_control) {
        Some("it contains a control character")
    } else {
        None
    }
}
