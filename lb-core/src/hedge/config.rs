//! When and how much to hedge.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::human;

/// When a call's first attempt has no answer yet, make a second one elsewhere, and take whichever succeeds first. Only
/// for idempotent calls. Off unless configured.
///
/// In JSON: `{ "after": "10ms" }` or `{ "percentile": 0.95 }`, each with an optional `"max_extra"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HedgeConfig {
    /// Hedge after this fixed time. Takes precedence over `percentile`. 1 µs to 7 days.
    #[serde(with = "human::option", skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// Hedge after the time within which this share of the service's own successful attempts end. Nothing is hedged
    /// before 64 of them were measured. Default 0.95; 0 to 1.
    pub percentile: f64,
    /// The most extra requests, as a share of all. What is beyond is not hedged. Default 0.05; 0 to 1.
    pub max_extra: f64,
}

impl HedgeConfig {
    /// Hedge after a fixed time.
    pub const fn after(after: Duration) -> Self {
        Self { after: Some(after), percentile: 0.95, max_extra: 0.05 }
    }

    /// Hedge after a percentile (0 to 1) of the service's own latency.
    pub const fn percentile(percentile: f64) -> Self {
        Self { after: None, percentile, max_extra: 0.05 }
    }

    /// Bounds the extra requests to this share of all.
    #[must_use]
    pub const fn max_extra(mut self, share: f64) -> Self {
        self.max_extra = share;
        self
    }
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self::percentile(0.95)
    }
}
