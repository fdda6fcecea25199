//! A secret in clear, for as long as it is needed: [`SecretValue`].

use std::fmt;

use zeroize::Zeroizing;

/// A secret that was looked up. Prints as `<redacted>`, cannot be serialised, and its memory is overwritten when it is
/// dropped.
///
/// ```
/// use lb_core::Secret;
///
/// let value = Secret::literal("sk-123").resolve()?;
/// assert_eq!(value.expose(), "sk-123");
/// assert_eq!(format!("{value} {value:?}"), "<redacted> SecretValue(<redacted>)");
/// # Ok::<(), lb_core::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    pub(super) fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret in clear. What is copied from it is not overwritten when this is dropped.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(<redacted>)")
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("<redacted>")
    }
}
