//! What is asked of the store, and what it grants.

use std::time::Duration;

use super::terms::Terms;

/// What a process asks the store for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LeaseRequest {
    /// The quota.
    pub terms: Terms,
    /// How many requests it could use within [`Terms::horizon`].
    pub requests: u64,
    /// How many tokens.
    pub tokens: u64,
    /// The tokens of one request that waits: less is of no use. If it is more than can pile up, it is granted when the
    /// pile is full, and the pile owes it.
    pub least_tokens: u64,
    /// Requests of an earlier lease that were not used.
    pub unused_requests: u64,
    /// Tokens of an earlier lease that were not used; negative if requests cost more than was leased for them.
    pub unused_tokens: i64,
}

impl LeaseRequest {
    /// Asks for nothing and gives nothing back.
    pub const fn new(terms: Terms) -> Self {
        Self { terms, requests: 0, tokens: 0, least_tokens: 0, unused_requests: 0, unused_tokens: 0 }
    }
}

/// What the store grants.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Lease {
    /// So many requests. 0 if none are left, or fewer than asked for.
    pub requests: u64,
    /// So many tokens.
    pub tokens: u64,
    /// When it is worth asking again, if that was less than was asked for.
    pub ask_again: Duration,
    /// How many processes have used this quota lately, this one included.
    pub sharers: u32,
    /// What is piled up, from 0 to 1 of what may, by the scarcest dimension.
    pub level: f64,
    /// What remains of a rest.
    pub rest: Option<Duration>,
}

impl Lease {
    /// Grants so much.
    pub const fn new(requests: u64, tokens: u64) -> Self {
        Self { requests, tokens, ask_again: Duration::ZERO, sharers: 1, level: 0.0, rest: None }
    }
}
