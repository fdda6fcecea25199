//! How a registry is set up: [`RedisRegistryBuilder`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::registry::shared::{
    Announcer, Catalog, CatalogOptions, Codec, DiskCache, EmptyPolicy, JsonCodec, KeeperOptions, Leases,
    Numbering, RemovalPolicy, RuntimeClock,
};
use lb_core::{Clock as _, RandomSource, Secret, SeededRandom, ServiceInstance, ThreadRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::mpsc;
use tracing::warn;

use crate::announcements::Announcements;
use crate::connection::{Address, AddressError, ConnectionError, Dial, Link, Timeouts, Tls};
use crate::core::{Core, Writer};
use crate::keys::Namespace;
use crate::registry::RedisRegistry;
use crate::watch::{Ear, Follower, Settings, Translator};

/// The registry could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Redis cannot be reached, and nothing is known from a cache. To go on without it, build with
    /// [`wait`](RedisRegistryBuilder::wait) zero.
    #[error(
        "Redis cannot be reached; start it, check the address, or use `wait(Duration::ZERO)` to go on without it"
    )]
    Unreachable(#[from] ConnectionError),
}

/// Sets up a [`RedisRegistry`]. Made by [`RedisRegistry::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use lb_core::Instance;
/// use lb_registry_redis::{RedisRegistry, Timeouts};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = RedisRegistry::<Instance>::builder("redis+sentinel://s1,s2,s3/mymaster")?
///     .namespace("shop")
///     .credentials("shop-registry", std::env::var("REDIS_PASSWORD")?)
///     .ttl(Duration::from_secs(10))
///     .timeouts(Timeouts::default().command(Duration::from_secs(2)))
///     .services(|service| service.starts_with("shop-"))
///     .connect()
///     .await?;
/// # drop(registry);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisRegistryBuilder<I> {
    address: Address,
    namespace: String,
    user: Option<String>,
    password: Option<Secret>,
    sentinel_login: (Option<String>, Option<Secret>),
    tls: Option<Tls>,
    timeouts: Timeouts,
    ttl: Duration,
    removal: Option<RemovalPolicy>,
    empty: Option<EmptyPolicy>,
    codec: Arc<dyn Codec<I>>,
    options: CatalogOptions,
    random: Arc<dyn RandomSource>,
    wait: Duration,
    cache: Option<PathBuf>,
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> RedisRegistryBuilder<I> {
    pub(crate) fn new(url: &str) -> Result<Self, AddressError> {
        let mut address = Address::parse(url)?;
        let (user, password) = (address.user.take(), address.password.take());
        Ok(Self {
            tls: address.tls.then(Tls::default),
            address,
            namespace: "default".into(),
            user,
            password: password.map(Secret::literal),
            sentinel_login: (None, None),
            timeouts: Timeouts::default(),
            ttl: Duration::from_secs(15),
            removal: None,
            empty: None,
            codec: Arc::new(JsonCodec),
            options: CatalogOptions::default(),
            random: Arc::new(ThreadRandom),
            wait: Duration::from_secs(5),
            cache: None,
        })
    }
}

impl<I: ServiceInstance> RedisRegistryBuilder<I> {
    /// What all keys begin with: fleets with different namespaces do not see each other. Default `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The ACL user and password, in place of those in the URL. An empty user is the default user.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let user = user.into();
        self.user = (!user.is_empty()).then_some(user);
        let password = password.into();
        self.password = (!password.is_empty()).then(|| Secret::literal(password));
        self
    }

    /// The ACL user, and where its password is: it is looked up for each connection, so that it can be replaced while the
    /// program runs. An empty user is the default user.
    pub fn credentials_from(mut self, user: impl Into<String>, password: Secret) -> Self {
        let user = user.into();
        self.user = (!user.is_empty()).then_some(user);
        self.password = Some(password);
        self
    }

    /// User and password for the sentinels, if they want any. Default none: those for the servers are not sent to them.
    pub fn sentinel_credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let user = user.into();
        self.sentinel_login = ((!user.is_empty()).then_some(user), Some(Secret::literal(password)));
        self
    }

    /// Uses TLS, with these certificates. Default: TLS if the URL says so, with the system's certificates.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long to wait for Redis, and how often to ask it.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How long an announcement outlives its last heartbeat; at least 300 ms. Default 15 s. All processes of a fleet
    /// should have the same.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.max(Duration::from_millis(300));
        self
    }

    /// What becomes of instances that vanish. Default [`RemovalPolicy::for_ttl`] of the [`ttl`](Self::ttl).
    pub fn removal(mut self, policy: RemovalPolicy) -> Self {
        self.removal = Some(policy);
        self
    }

    /// Whether a crowd that vanishes is kept as suspect for a while. Default [`EmptyPolicy::Protect`].
    pub fn empty_policy(mut self, policy: EmptyPolicy) -> Self {
        self.empty = Some(policy);
        self
    }

    /// Writes and reads instances in another format. Default JSON. All processes of a fleet must use the same.
    pub fn codec(mut self, codec: impl Codec<I>) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// Knows only services whose name `filter` says yes to; watching another gives an empty one.
    pub fn services(mut self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.options = self.options.keeping(filter);
        self
    }

    /// Fixes chance (jitter, and the ids of writes), for tests. Two processes must not have the same seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Arc::new(SeededRandom::new(seed));
        self
    }

    /// How long [`connect`](Self::connect) waits for Redis. Default 5 s. Zero: it does not, and the registry connects as
    /// soon as it can.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Keeps what is watched in this file, for a start while Redis is away: then [`connect`](Self::connect) gives, after
    /// [`wait`](Self::wait), a registry that begins with what the file holds. Its snapshots say
    /// [`ColdCache`](lb_core::registry::Freshness::ColdCache) until Redis is there. Each registry needs a file of its own.
    /// Default none.
    pub fn cache(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(path.into());
        self
    }

    /// Starts the registry and waits for its first connection. Needs a tokio runtime.
    pub async fn connect(self) -> Result<RedisRegistry<I>, ConnectError> {
        let wait = self.wait;
        let owner = format!("redis, {}", self.namespace);
        let cache = self
            .cache
            .clone()
            .map(|path| Arc::new(DiskCache::with_codec(path, owner, Arc::clone(&self.codec))));
        let clock = RuntimeClock::start();
        let registry = self.start(clock);
        let catalog = &registry.core.catalog;
        if let Some(cache) = &cache {
            tokio::spawn(Arc::clone(cache).keep(catalog));
        }
        if let Err(error) = registry.core.writer.link.ready(wait).await
            && !restore(cache, catalog, clock).await
            && !wait.is_zero()
        {
            return Err(error.into());
        }
        Ok(registry)
    }

    fn start(self, clock: RuntimeClock) -> RedisRegistry<I> {
        let mut removal = self.removal.unwrap_or_else(|| RemovalPolicy::for_ttl(self.ttl));
        if let Some(empty) = self.empty {
            removal = removal.with_empty(empty);
        }
        let database = self.address.database;
        let dial = Dial {
            user: self.user,
            password: self.password,
            database,
            tls: self.tls,
            timeouts: self.timeouts,
        };
        let link = Link::start(self.address.topology, dial, self.sentinel_login, Arc::clone(&self.random));
        let options = self.options.with_numbering(Numbering::Service).with_removal(removal);
        let catalog = Catalog::new(options, SystemTime::now());
        let namespace = Namespace::new(&self.namespace);
        let writer = Arc::new(Writer {
            link: link.clone(),
            namespace: namespace.clone(),
            codec: Arc::clone(&self.codec),
            random: Arc::clone(&self.random),
        });

        let (listen, orders) = mpsc::unbounded_channel();
        let (tell, sounds) = mpsc::unbounded_channel();
        tokio::spawn(Ear::new(link.clone(), Arc::clone(&self.random), orders, tell).run());
        let (follow, follow_orders) = mpsc::unbounded_channel();
        let follower = Follower {
            link,
            catalog: catalog.clone(),
            translator: Translator { codec: self.codec },
            namespace,
            clock,
            random: Arc::clone(&self.random),
            settings: Settings { poll: self.timeouts.poll, resync: self.timeouts.resync, ttl: self.ttl },
            listen,
        };
        tokio::spawn(follower.run(follow_orders, sounds));

        let store = Announcements { writer: Arc::clone(&writer), ttl: self.ttl };
        let options = KeeperOptions::new(Leases::Each, self.ttl);
        let announcer = Announcer::spawn(store, options, catalog.clone(), self.random);
        let first_look = self.timeouts.connect + self.timeouts.command;
        RedisRegistry { core: Arc::new(Core { writer, catalog, follow, announcer, first_look }) }
    }
}

/// Begins with what the cache holds. Whether it holds something.
async fn restore<I: ServiceInstance>(
    cache: Option<Arc<DiskCache<I>>>,
    catalog: &Catalog<I>,
    clock: RuntimeClock,
) -> bool {
    let Some(cache) = cache else { return false };
    match tokio::task::spawn_blocking(move || cache.load()).await {
        Ok(Ok(Some(cached))) => {
            warn!(written = ?cached.written, "Redis cannot be reached; beginning with the disk cache");
            catalog.restore(cached.image, clock.now())
        }
        Ok(Err(error)) => {
            warn!(%error, "the disk cache is not used");
            false
        }
        Ok(Ok(None)) | Err(_) => false,
    }
}

impl<I> fmt::Debug for RedisRegistryBuilder<I> {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRegistryBuilder")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("tls", &self.tls)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
