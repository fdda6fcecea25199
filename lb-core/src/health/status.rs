//! How an instance is doing: [`HealthState`].

use serde::Serialize;

/// How an instance is doing, as far as this balancer has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthState {
    /// Nothing is held against it.
    Healthy,
    /// It is eased in, with a share of its weight.
    SlowStart,
    /// It should be ejected, but too many are, or it is the last: it stays in use until somebody else is better.
    Failing,
    /// It is left out for failing.
    Ejected,
    /// It is left out because it said that it can serve nobody.
    SetAside,
    /// The time for which it was left out is over: it gets one request at a time, until one succeeds.
    Probing,
}

impl HealthState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::SlowStart, Self::Failing, Self::Ejected, Self::SetAside, Self::Probing];

    /// The name in statistics and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::SlowStart => "slow_start",
            Self::Failing => "failing",
            Self::Ejected => "ejected",
            Self::SetAside => "set_aside",
            Self::Probing => "probing",
        }
    }
}
