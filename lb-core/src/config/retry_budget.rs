//! [`RetryBudgetConfig`].

use serde::{Deserialize, Serialize};

/// How the retry budget paces fail-overs: a token bucket per service and process.
///
/// A fail-over at once takes one token; without one it waits for the backoff instead. Nothing ever fails because of
/// the budget, and it does not lower the number of attempts: [`max_retries`](crate::ServiceConfig::max_retries) does that. Every
/// request adds `ratio` tokens, every second `min_per_second`; at most `burst` are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryBudgetConfig {
    /// Tokens added per request: 0.2 lets one request in five be failed over at once, in the long run. 0 to 10.
    pub ratio: f64,
    /// Tokens added per second whatever the traffic, for services with few requests. 0 to 1,000,000.
    pub min_per_second: f64,
    /// The most tokens kept, and the number at the start. 0 to 1,000,000.
    pub burst: f64,
}

impl RetryBudgetConfig {
    /// 20 % of the requests, at least 10 a second, a burst of 100 (Finagle's defaults: 20 %, 10/s over 10 s).
    pub const DEFAULT: Self = Self { ratio: 0.2, min_per_second: 10.0, burst: 100.0 };

    /// No pacing: every fail-over is at once.
    pub const UNLIMITED: Self = Self { ratio: 10.0, min_per_second: 1_000_000.0, burst: 1_000_000.0 };

    /// A budget of the given ratio, floor and burst; checked when the configuration is built.
    pub const fn new(ratio: f64, min_per_second: f64, burst: f64) -> Self {
        Self { ratio, min_per_second, burst }
    }
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
