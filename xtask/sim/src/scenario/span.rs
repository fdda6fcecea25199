//! Lengths of time as people write them: `"15s"`, `"1ms"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A length of time in nanoseconds, read from `"250ms"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// So many milliseconds.
    pub const fn ms(n: u64) -> Self {
        Self(n * 1_000_000)
    }

    /// As a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// In seconds.
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).map_err(|error| {
            serde::de::Error::custom(format!("`{text}` is not a length of time such as \"250ms\": {error}"))
        })?;
        u64::try_from(duration.as_nanos())
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("`{text}` is longer than 584 years")))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.duration()).fmt(f)
    }
}
