//! A vendor's key, which is never printed.

use std::fmt;

use reqwest::header::{HeaderValue, InvalidHeaderValue};

/// A key, ready for the `Authorization` header.
#[derive(Clone)]
pub(crate) struct Key {
    secret: String,
    header: HeaderValue,
}

impl Key {
    pub(crate) fn new(secret: &str) -> Result<Self, InvalidHeaderValue> {
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}"))?;
        // Keeps it out of the debug output of the HTTP client, too.
        header.set_sensitive(true);
        Ok(Self { secret: secret.to_owned(), header })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Takes the key out of a text: some vendors repeat it in their error messages.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.secret, "<key>")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let key = Key::new("sk-123").unwrap();
        assert!(!format!("{key:?} {:?}", key.header()).contains("123"));
        assert_eq!(key.redact("bad key sk-123"), "bad key <key>");
        assert!(Key::new("sk\n123").is_err());
    }
}
