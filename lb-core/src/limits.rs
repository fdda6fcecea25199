//! Declared quotas of an instance: what a provider grants is best not found out by running into it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::human;

/// The quota that a provider grants, as declared by whoever registers the instance. Everything is optional; what is
/// `None` is unlimited.
///
/// An instance without room is not picked; when nobody has room, calls wait for it. Counted per process: where several
/// share one account, declare each one's part. To keep all requests away from an instance give it weight 0.
///
/// ```
/// use std::time::Duration;
/// use lb_core::Limits;
///
/// let limits = Limits::NONE.concurrency(8).requests_per_minute(600).tokens_per_minute(90_000);
/// assert_eq!(limits.burst, None, "one second: ten requests at once, then ten a second");
/// let limits = limits.burst(Duration::from_secs(6)); // sixty at once
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Requests in flight at the same time. 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens (or whatever [`CallOptions::cost`](crate::CallOptions::cost) counts) per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// How long the provider lets quota pile up: at most `rate · burst` passes at once, and always one request.
    /// Providers judge "per minute" limits over windows as short as a quarter of a second. `None`: one second.
    ///
    /// A request that costs more than that passes when the bucket is full, and those after it wait until it is paid
    /// for.
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

    /// Limits the requests in flight at the same time. A stream counts until its [`Picked`](crate::Picked) is dropped.
    pub const fn concurrency(mut self, n: u32) -> Self {
        self.concurrency = Some(n);
        self
    }

    /// Limits the requests per minute.
    pub const fn requests_per_minute(mut self, n: u32) -> Self {
        self.requests_per_minute = Some(n);
        self
    }

    /// Limits the tokens per minute, as estimated by [`CallOptions::cost`](crate::CallOptions::cost) and corrected by
    /// [`Picked::settle`](crate::Picked::settle).
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
