//! What the user can put right: a missing file, a bad field, an unset variable.

use std::fmt;

use loadbalance::RegistryError;

/// A sentence that names what is wrong, where, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Self(format!("the registry refused: {error}"))
    }
}
