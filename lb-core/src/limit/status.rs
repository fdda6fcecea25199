//! What a limiter holds a group to, for people and for monitoring: [`QuotaStatus`].

use std::time::Duration;

use serde::Serialize;

use crate::config::human;

/// Where the limits in force come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuotaSource {
    /// They are declared ([`Limits`](crate::Limits)).
    Declared,
    /// The provider said what is left ([`QuotaHint`](super::QuotaHint)).
    Hinted,
    /// The provider refused requests.
    Learned,
}

impl QuotaSource {
    /// The name in logs and statistics: `declared`, `hinted`, `learned`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Hinted => "hinted",
            Self::Learned => "learned",
        }
    }
}

/// The limits in force of one quota group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuotaStatus {
    /// Where they come from. What is declared may be narrowed by what was learned.
    pub source: QuotaSource,
    /// Requests per minute; `None` is unlimited.
    pub requests_per_minute: Option<f64>,
    /// Tokens per minute; `None` is unlimited.
    pub tokens_per_minute: Option<f64>,
    /// Requests at the same time; `None` is unlimited.
    pub concurrency: Option<u32>,
    /// How long the quota of requests piles up.
    #[serde(with = "human::option")]
    pub burst: Option<Duration>,
    /// How many requests the provider has refused.
    pub refused: u64,
    /// What is left, from 0 to 1.
    pub headroom: f64,
}

impl QuotaStatus {
    /// Nothing in force yet.
    pub const fn new(source: QuotaSource) -> Self {
        Self {
            source,
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrency: None,
            burst: None,
            refused: 0,
            headroom: 1.0,
        }
    }
}
