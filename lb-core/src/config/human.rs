//! Durations as people write them in configuration: `"2s"`, `"250ms"`, `"1m 30s"`. For parameters of strategies and
//! for configuration of your own.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize, serde::Serialize)]
//! struct Params {
//!     #[serde(with = "lb_core::config::human")]
//!     window: Duration,
//!     #[serde(with = "lb_core::config::human::option")]
//!     limit: Option<Duration>,
//! }
//!
//! let params: Params = serde_json::from_str(r#"{ "window": "1m 30s", "limit": null }"#)?;
//! assert_eq!(params.window, Duration::from_secs(90));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Parses one duration. A bare number is refused: seconds and milliseconds are too easily confused.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!(
            "`{text}` is not a duration ({error}); write a number and a unit, such as \"2s\" or \"250ms\""
        )
    })
}

/// For serde's `with`.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*value))
}

/// For serde's `with`. A bare number is refused.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    match &value {
        serde_json::Value::String(text) => parse(text).map_err(de::Error::custom),
        other => Err(de::Error::custom(format!(
            "`{other}` is not a duration; write a string with a unit, such as \"2s\" or \"250ms\""
        ))),
    }
}

/// The same for `Option<Duration>`.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    /// For serde's `with`.
    #[allow(clippy::ref_option, reason = "serde's `with` passes a reference to the field")]
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// For serde's `with`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Human(#[serde(with = "super")] Duration);
        Ok(Option::<Human>::deserialize(deserializer)?.map(|human| human.0))
    }
}
