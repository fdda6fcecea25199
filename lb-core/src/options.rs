//! What one call may ask for on its own: [`CallOptions`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh64::Xxh64;

use crate::config::{CallPolicy, ConfigError, Overrides};
use crate::failure::ByError;

/// Options of one call: overrides of the service's configuration, and what only the caller knows.
///
/// ```
/// use std::time::Duration;
/// use lb_core::CallOptions;
///
/// let options = CallOptions::new()
///     .max_retries(3)
///     .deadline(Duration::from_secs(10))
///     .hash_key("user-42")
///     .cost(1_200)
///     .idempotent(false);
/// ```
///
/// What is not set is as the service's configuration says. An override can change a value, but not take away a limit
/// that the service sets; `max_waiting`, `retry_budget` and `strategy` belong to the service alone.
///
/// A value that cannot be meant (a NaN backoff, a zero deadline) makes the call fail with
/// [`Error::InvalidOptions`](crate::Error::InvalidOptions) before anything is tried. The ranges are those of
/// [`ServiceConfig`](crate::ServiceConfig).
#[derive(Clone, Debug)]
#[must_use]
pub struct CallOptions<C = ByError> {
    pub(crate) overrides: Overrides,
    /// Whether anything is overridden: most calls override nothing, and need not look.
    pub(crate) overridden: bool,
    pub(crate) hash_key: Option<u64>,
    pub(crate) cost: u64,
    pub(crate) idempotent: bool,
    pub(crate) wait_for_ready: bool,
    pub(crate) fallbacks: Vec<Arc<str>>,
    pub(crate) classifier: C,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CallOptions {
    /// Nothing overridden; idempotent; errors classified by [`Classify`](crate::Classify).
    pub const fn new() -> Self {
        Self {
            overrides: Overrides {
                max_retries: None,
                max_failovers_per_round: None,
                retry_delay: None,
                max_retry_delay: None,
                max_wait: None,
                retry_backoff: None,
                jitter: None,
                attempt_timeout: None,
                deadline: None,
            },
            overridden: false,
            hash_key: None,
            cost: 1,
            idempotent: true,
            wait_for_ready: false,
            fallbacks: Vec::new(),
            classifier: ByError,
        }
    }
}

impl<C> CallOptions<C> {
    /// Classifies results with `classifier` instead of [`ByError`]; functions and closures over `&Result<T, E>` are
    /// classifiers. See [`Classifier`](crate::Classifier) for an example.
    pub fn classify<D>(self, classifier: D) -> CallOptions<D> {
        CallOptions {
            overrides: self.overrides,
            overridden: self.overridden,
            hash_key: self.hash_key,
            cost: self.cost,
            idempotent: self.idempotent,
            wait_for_ready: self.wait_for_ready,
            fallbacks: self.fallbacks,
            classifier,
        }
    }

    /// Requests with the same key go to the same instance, under strategies that hash. The key is hashed with xxh64,
    /// seed 0, as its `Hash` feeds it: the same in every process of a fleet. To agree with clients in other languages
    /// compute the hash yourself and give it to [`hash`](Self::hash).
    pub fn hash_key<K: Hash>(mut self, key: K) -> Self {
        let mut hasher = Xxh64::new(0);
        key.hash(&mut hasher);
        self.hash_key = Some(hasher.finish());
        self
    }

    /// Like [`hash_key`](Self::hash_key), with the hash already computed.
    pub fn hash(mut self, hash: u64) -> Self {
        self.hash_key = Some(hash);
        self
    }

    /// What the request will use of a quota counted in tokens, estimated. Reserved at the pick, from
    /// [`Limits::tokens_per_minute`](crate::Limits::tokens_per_minute) if the instance declares that;
    /// [`Picked::settle`](crate::Picked::settle) corrects it. Default 1.
    pub fn cost(mut self, tokens: u64) -> Self {
        self.cost = tokens;
        self
    }

    /// Whether repeating the request does no harm. Default `true`. With `false` only failures that prove the request
    /// was not processed are retried: `Unreachable`, `LimitExceeded`, `Unusable`.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Wait (up to `max_wait` and the deadline) for a service that has no instance yet, instead of failing at once
    /// with `NoAvailableInstance`. Default `false`.
    pub fn wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = wait;
        self
    }

    /// A service to go on with when the called one has nobody left to try (all have failed in this call, rest, or are
    /// gone) or cannot do what was asked. May be given
    /// several times; they are tried in that order, in place of the
    /// [configured ones](crate::ServiceConfig::fallbacks). The call's deadline and retries bound them all.
    pub fn fallback(mut self, service: impl Into<Arc<str>>) -> Self {
        self.fallbacks.push(service.into());
        self
    }

    /// Overrides [`ServiceConfig::max_retries`](crate::ServiceConfig::max_retries).
    pub fn max_retries(mut self, n: u32) -> Self {
        self.overrides.max_retries = Some(n);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::max_failovers_per_round`](crate::ServiceConfig::max_failovers_per_round).
    pub fn max_failovers_per_round(mut self, n: u32) -> Self {
        self.overrides.max_failovers_per_round = Some(n);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::retry_delay`](crate::ServiceConfig::retry_delay).
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.overrides.retry_delay = Some(delay);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::max_retry_delay`](crate::ServiceConfig::max_retry_delay).
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.overrides.max_retry_delay = Some(delay);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::retry_backoff`](crate::ServiceConfig::retry_backoff).
    pub fn retry_backoff(mut self, factor: f64) -> Self {
        self.overrides.retry_backoff = Some(factor);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::jitter`](crate::ServiceConfig::jitter).
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.overrides.jitter = Some(fraction);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::max_wait`](crate::ServiceConfig::max_wait).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.overrides.max_wait = Some(wait);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::attempt_timeout`](crate::ServiceConfig::attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.overrides.attempt_timeout = Some(timeout);
        self.overridden = true;
        self
    }

    /// Overrides [`ServiceConfig::deadline`](crate::ServiceConfig::deadline). Counted from the start of the call.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.overrides.deadline = Some(deadline);
        self.overridden = true;
        self
    }

    /// Checks the overrides as [`ServiceConfig`](crate::ServiceConfig) checks its fields.
    #[inline]
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.overridden { self.overrides.check() } else { Ok(()) }
    }

    /// Attempt timeout and deadline of this call, given the service's policy.
    #[inline]
    pub(crate) fn times(&self, service: &CallPolicy) -> (Option<Duration>, Option<Duration>) {
        if !self.overridden {
            return (service.attempt_timeout, service.deadline);
        }
        let Overrides { attempt_timeout, deadline, .. } = self.overrides;
        (attempt_timeout.or(service.attempt_timeout), deadline.or(service.deadline))
    }

    /// The policy of this call, given the service's. A `retry_delay` above the service's `max_retry_delay` raises that.
    #[inline]
    pub fn resolve(&self, service: CallPolicy) -> CallPolicy {
        if self.overridden { self.overrides.apply(service) } else { service }
    }
}
