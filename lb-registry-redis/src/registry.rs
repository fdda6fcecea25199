//! The handle that users hold: [`RedisRegistry`].

use std::fmt;
use std::sync::Arc;

use lb_core::ServiceInstance;
use lb_core::registry::shared::RegistryStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::{ConnectError, RedisRegistryBuilder};
use crate::connection::AddressError;
use crate::core::Core;
use crate::limits::RedisLimits;

/// A registry in Redis, shared by all processes that use the same server and namespace. Cloning it gives another handle
/// on the same registry.
///
/// - **Reading costs nothing.** What is watched is kept in memory; a call never waits for Redis. A change made elsewhere
///   is seen as soon as Redis has told of it, usually within a millisecond.
/// - **Announcements** live for [`ttl`](RedisRegistryBuilder::ttl) without a heartbeat; one is sent three times as often.
///   What Redis has lost is written again with the next one. Who beats also takes out whoever has stopped; if all stop
///   at once nobody is taken out, because then it is not they who failed.
/// - **Outages.** While Redis is away the last snapshots stay in force and say that they are stale
///   ([`Freshness`](lb_core::registry::Freshness)). What vanishes in a crowd is kept as suspect for a while; see
///   [`RemovalPolicy`](lb_core::registry::shared::RemovalPolicy).
/// - **Arrangements.** One server, sentinels, or a Cluster: by the URL, see [`builder`](Self::builder).
/// - Its tasks run on the tokio runtime that it was made in, and end when the last handle is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_core::{Instance, LoadBalancer, ServiceRegistry};
/// use lb_registry_redis::RedisRegistry;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = RedisRegistry::<Instance>::connect("redis://127.0.0.1:6379").await?;
///
/// // A process that offers itself:
/// let announcement = registry.announce("cart", Instance::new("cart-1").with_address("10.0.0.1:8080")).await?;
/// // One that uses it:
/// let lb = LoadBalancer::new(registry.clone());
/// # drop(lb);
///
/// announcement.leave(Duration::from_secs(10)).await?; // no new requests, then gone
/// # Ok(())
/// # }
/// ```
pub struct RedisRegistry<I> {
    pub(crate) core: Arc<Core<I>>,
}

impl<I> Clone for RedisRegistry<I> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> RedisRegistry<I> {
    /// Connects with the defaults; see [`builder`](Self::builder).
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url)?.connect().await
    }

    /// Where Redis is, and everything else at its default.
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | one server |
    /// | `redis+sentinel://user:password@host:26379,host:26379/mymaster` | the master that the sentinels name |
    /// | `redis+cluster://user:password@host:6379,host:6379` | a Cluster, of which these nodes are known |
    ///
    /// `rediss://`, `rediss+sentinel://` and `rediss+cluster://` use TLS. User and password, percent-encoded, may be left
    /// out; they may be given to the builder instead.
    pub fn builder(url: &str) -> Result<RedisRegistryBuilder<I>, AddressError> {
        RedisRegistryBuilder::new(url)
    }
}

impl<I: ServiceInstance> RedisRegistry<I> {
    /// The state of the registry, for operators: whether it is well, and what it has been through. O(services).
    pub fn status(&self) -> RegistryStatus {
        self.core.catalog.status()
    }

    /// Quotas and rests that all processes share which use this server and namespace; for
    /// [`SharedLimiters`](lb_core::limit::SharedLimiters). Uses this registry's connection, and one of its own to hear
    /// of rests. Keep one per process.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use lb_core::limit::SharedLimiters;
    /// use lb_core::{Instance, LoadBalancer};
    /// use lb_registry_redis::RedisRegistry;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let registry = RedisRegistry::<Instance>::connect("redis://127.0.0.1").await?;
    /// let limiters = SharedLimiters::new(Arc::new(registry.shared_limits()));
    /// let lb = LoadBalancer::builder(registry).limiters(limiters).build();
    /// # drop(lb);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared_limits(&self) -> RedisLimits {
        let writer = &self.core.writer;
        RedisLimits::new(writer.link.clone(), writer.namespace.clone(), &writer.random)
    }
}

impl<I> fmt::Debug for RedisRegistry<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistry").field("catalog", &self.core.catalog).finish_non_exhaustive()
    }
}
