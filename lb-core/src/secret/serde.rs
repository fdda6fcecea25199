//! How a secret travels: as its reference.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use zeroize::Zeroizing;

use super::secret::{Secret, Written};

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.written() {
            Written::Reference(reference) => serializer.serialize_str(&reference),
            Written::Clear(value) => serializer.serialize_str(&Zeroizing::new(format!("clear:{value}"))),
            Written::Refused => Err(ser::Error::custom(
                "it holds a secret in person, which would be seen by all who read it; make it a reference with \
                 `Secret::env` or `Secret::file`, or, if they all may know it, call `travels_in_clear` on it",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reference)
    }
}

/// Reads a reference. What is something else is not repeated in the error: it may be the secret.
struct Reference;

impl Reference {
    fn refused<E: de::Error>() -> E {
        E::custom("a secret is not a text here; write \"env:NAME\" or \"file:PATH\"")
    }
}

impl Visitor<'_> for Reference {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"env:NAME\" or \"file:PATH\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Secret, E> {
        Err(Self::refused())
    }
}
