//! What a provider says of the quota that is left: [`QuotaHint`].

use std::time::Duration;

/// What a provider said of the quota that is left, in the headers of an answer. Handed on by
/// [`Picked::hint`](crate::Picked::hint); [`headers`](crate::headers) reads it from the headers in use.
///
/// With a limit, what is left and the time to the reset, the rate follows: what is used comes back within that time.
/// Without the limit only as much is used until the reset as is left.
///
/// ```
/// use std::time::Duration;
/// use lb_core::limit::QuotaHint;
///
/// // 40 of 100 are used, and come back within 24 s: 100 a minute.
/// let hint = QuotaHint::new().limit_requests(100).remaining_requests(60).reset_after(Duration::from_secs(24));
/// assert_eq!(hint.remaining_requests, Some(60));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaHint {
    /// How many requests may be made before any has come back.
    pub limit_requests: Option<u64>,
    /// Requests that are left.
    pub remaining_requests: Option<u64>,
    /// The same, in tokens.
    pub limit_tokens: Option<u64>,
    /// Tokens that are left.
    pub remaining_tokens: Option<u64>,
    /// When they are replenished, from now.
    pub reset_after: Option<Duration>,
    /// When the tokens are replenished, if not together with the requests.
    pub tokens_reset_after: Option<Duration>,
}

impl QuotaHint {
    /// Nothing said.
    pub const fn new() -> Self {
        Self {
            limit_requests: None,
            remaining_requests: None,
            limit_tokens: None,
            remaining_tokens: None,
            reset_after: None,
            tokens_reset_after: None,
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::new()
    }

    /// How many requests may be made before any has come back.
    #[must_use]
    pub const fn limit_requests(mut self, n: u64) -> Self {
        self.limit_requests = Some(n);
        self
    }

    /// Requests that are left.
    #[must_use]
    pub const fn remaining_requests(mut self, n: u64) -> Self {
        self.remaining_requests = Some(n);
        self
    }

    /// How many tokens may be used before any has come back.
    #[must_use]
    pub const fn limit_tokens(mut self, n: u64) -> Self {
        self.limit_tokens = Some(n);
        self
    }

    /// Tokens that are left.
    #[must_use]
    pub const fn remaining_tokens(mut self, n: u64) -> Self {
        self.remaining_tokens = Some(n);
        self
    }

    /// When they are replenished, from now.
    #[must_use]
    pub const fn reset_after(mut self, after: Duration) -> Self {
        self.reset_after = Some(after);
        self
    }

    /// When the tokens are replenished, if not together with the requests.
    #[must_use]
    pub const fn tokens_reset_after(mut self, after: Duration) -> Self {
        self.tokens_reset_after = Some(after);
        self
    }
}
