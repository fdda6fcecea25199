//! What is wrong with a configuration: [`ConfigError`].

use thiserror::Error;

/// A field of a configuration that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is out of range.
    #[error("`{field}` = {value}: {problem}")]
    Invalid {
        /// The field, as in the JSON form (`retry_delay`, `retry_budget.ratio`).
        field: &'static str,
        /// The value, printed.
        value: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// The field does not exist.
    #[error("`{field}` is not a field of a service configuration; there are: {known}")]
    UnknownField {
        /// The name that was given.
        field: String,
        /// The names that exist.
        known: String,
    },
    /// The text is not a configuration at all.
    #[error("the configuration cannot be read: {0}")]
    Malformed(String),
}
