//! Declared quotas of an instance.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::human;

/// The quota that a provider grants, as declared by whoever registers the instance. Everything is optional; what is
/// `None` is unlimited (or learned from the provider's answers).
///
/// ```
/// use lb_core::Limits;
///
/// let limits = Limits::NONE.concurrency(8).requests_per_minute(600).tokens_per_minute(90_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in flight at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens (or whatever `CallOptions::cost` counts) per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// How long the provider lets quota pile up: a burst of at most `rate · burst` passes at once. Providers judge
    /// "per minute" limits over windows as short as a quarter of a second. `None`: one second.
    #[serde(default, with = "human::option", skip_serializing_if = "Option::is_none")]
    pub burst: Option<Duration>,
}

impl Limits {
    /// No declared limit.
    pub const NONE: Self =
        Self { concurrency: None, requests_per_minute: None, tokens_per_minute: None, burst: None };

    /// Whether nothing is declared.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Limits the requests in flight at the same time.
    pub const fn concurrency(mut self, n: u32) -> Self {
        self.concurrency = Some(n);
        self
    }

    /// Limits the requests per minute.
    pub const fn requests_per_minute(mut self, n: u32) -> Self {
        self.requests_per_minute = Some(n);
        self
    }

    /// Limits the tokens per minute.
    pub const fn tokens_per_minute(mut self, n: u64) -> Self {
        self.tokens_per_minute = Some(n);
        self
    }

    /// Sets the window over which the provider judges its rates.
    pub const fn burst(mut self, window: Duration) -> Self {
        self.burst = Some(window);
        self
    }
}
