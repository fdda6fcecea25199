//! Quotas and rests that processes share through Redis: [`RedisLimits`].

mod followers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lb_core::limit::{Lease, LeaseRequest, SharedLimits};
use lb_core::{RandomSource, RegistryError};
use redis::Value;

use crate::connection::{ConnectionError, Link};
use crate::keys::Namespace;
use crate::scripts::{Call, LEASE, REST};

use followers::Followers;

/// A process that has not leased for that long does not count as a sharer.
const SHARER: Duration = Duration::from_secs(10);

/// Quotas and rests that all processes share that use the same Redis and namespace. Made by
/// [`RedisRegistry::shared_limits`](crate::RedisRegistry::shared_limits); give it to
/// [`SharedLimiters`](lb_core::limit::SharedLimiters). Cloning it gives another handle on the same.
#[derive(Clone)]
pub struct RedisLimits {
    link: Link,
    namespace: Namespace,
    followers: Arc<Followers>,
    /// This process among the sharers.
    process: Arc<str>,
}

impl RedisLimits {
    pub(crate) fn new(link: Link, namespace: Namespace, random: &Arc<dyn RandomSource>) -> Self {
        let process = format!("{:016x}", random.next_u64()).into();
        let followers = Arc::new(Followers::start(link.clone(), random));
        Self { link, namespace, followers, process }
    }
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits").finish_non_exhaustive()
    }
}

fn failed(operation: &'static str, key: &str, error: ConnectionError) -> RegistryError {
    RegistryError::backend(operation, key, error)
}

/// The arguments of one dimension: per minute, capacity, wanted, least useful, unused.
fn dimension(call: Call, rate: Option<u64>, capacity: f64, wanted: u64, least: u64, unused: i64) -> Call {
    let call = match rate {
        Some(rate) => call.number(rate).arg(format!("{capacity:.6}")),
        None => call.arg("").arg("0"),
    };
    call.number(wanted).number(least).arg(unused.to_string())
}

fn granted(answer: &Value) -> Option<Lease> {
    let (requests, tokens, wait, sharers, level, rest): (i64, i64, u64, u32, u32, u64) =
        redis::from_redis_value_ref(answer).ok()?;
    let mut lease = Lease::new(u64::try_from(requests).ok()?, u64::try_from(tokens).ok()?);
    lease.ask_again = Duration::from_micros(wait);
    lease.sharers = sharers;
    lease.level = f64::from(level) / 1e6;
    lease.rest = (rest > 0).then(|| Duration::from_millis(rest));
    Some(lease)
}

#[async_trait]
impl SharedLimits for RedisLimits {
    async fn lease(&self, key: &str, request: LeaseRequest) -> Result<Lease, RegistryError> {
        let keys = self.namespace.quota(key);
        let terms = request.terms;
        let call = Call::new(&LEASE, [keys.level(), keys.sharers(), keys.rest()])
            .arg(self.process.as_bytes())
            .number(SHARER.as_millis() as u64);
        let unused = i64::try_from(request.unused_requests).unwrap_or(i64::MAX);
        let call = dimension(
            call,
            terms.requests_per_minute,
            terms.requests_capacity(),
            request.requests,
            u64::from(request.requests > 0),
            unused,
        );
        let call = dimension(
            call,
            terms.tokens_per_minute,
            terms.tokens_capacity(),
            request.tokens,
            request.least_tokens,
            request.unused_tokens,
        );
        let answer = self.link.call(&call).await.map_err(|error| failed("lease a quota", key, error))?;
        granted(&answer).ok_or_else(|| {
            failed("lease a quota", key, ConnectionError::Unexpected { operation: "leasing a quota" })
        })
    }

    async fn rest(&self, key: &str, remaining: Duration) -> Result<(), RegistryError> {
        let keys = self.namespace.quota(key);
        let call = Call::new(&REST, [keys.rest()])
            .arg(keys.channel())
            .number(u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX >> 12));
        self.link.call(&call).await.map(drop).map_err(|error| failed("tell of a rest", key, error))
    }

    fn follow(&self, key: &str, listener: Box<dyn Fn(Duration) + Send + Sync>) -> Box<dyn Send + Sync> {
        Box::new(self.followers.follow(self.namespace.quota(key).channel().into(), listener))
    }
}
