//! How a registry is set up and connected: [`EtcdRegistryBuilder`].

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use lb_core::registry::shared::{
    Announcer, Catalog, CatalogOptions, Codec, DiskCache, KeeperOptions, Leases, RemovalPolicy, RuntimeClock,
};
use lb_core::{Clock, RandomSource, SeededRandom, ServiceInstance, ThreadRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::announce::{Announcements, Own};
use crate::client::{EtcdError, EtcdErrorKind, Pool, Settings, Tls};
use crate::codec::NativeCodec;
use crate::intake::{Intake, Progress};
use crate::keys::{DEFAULT_PREFIX, Keys};
use crate::registry::{EtcdRegistry, Inner, Tasks};
use crate::store::Store;
use crate::watch::{Follow, Sink, Timing};

/// No request is given less time than this, however short the time-to-live is.
const LEAST_ATTEMPT: Duration = Duration::from_millis(500);

/// What [`connect`](EtcdRegistryBuilder::connect) does if etcd cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// It fails after the initial timeout, unless there is a [disk cache](EtcdRegistryBuilder::cache) to begin with.
    #[default]
    Fail,
    /// It waits for as long as it takes. What can never succeed (a password that is not accepted) fails all the same.
    Wait,
    /// It gives a registry that knows nothing yet, and is filled when etcd is there.
    Go,
}

/// How a registry in etcd is set up. Made by [`EtcdRegistry::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use lb_core::Instance;
/// use lb_registry_etcd::{EtcdRegistry, RemovalPolicy, WhenDown};
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let ttl = Duration::from_secs(10);
/// let registry = EtcdRegistry::<Instance>::builder(["http://etcd-1:2379", "http://etcd-2:2379"])
///     .prefix("shop/production")
///     .user("checkout", std::env::var("ETCD_PASSWORD")?)
///     .ttl(ttl)
///     .removal(RemovalPolicy::for_ttl(ttl).with_share(0.3))
///     .services(|name| name.starts_with("shop-"))
///     .when_down(WhenDown::Wait)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before `connect`"]
pub struct EtcdRegistryBuilder<I> {
    endpoints: Vec<String>,
    keys: Keys,
    settings: Settings,
    ttl: Duration,
    removal: Option<RemovalPolicy>,
    codec: Arc<dyn Codec<I>>,
    random: Arc<dyn RandomSource>,
    catalog: CatalogOptions,
    initial_timeout: Duration,
    when_down: WhenDown,
    timing: Timing,
    cache: Option<PathBuf>,
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> EtcdRegistryBuilder<I> {
    pub(crate) fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            keys: Keys::new(DEFAULT_PREFIX),
            settings: Settings {
                user: None,
                tls: None,
                connect: Duration::from_secs(1),
                attempt: Duration::from_secs(2),
                request: Duration::from_secs(5),
            },
            ttl: Duration::from_secs(15),
            removal: None,
            codec: Arc::new(NativeCodec),
            random: Arc::new(ThreadRandom),
            catalog: CatalogOptions::default(),
            initial_timeout: Duration::from_secs(5),
            when_down: WhenDown::default(),
            timing: Timing::default(),
            cache: None,
        }
    }
}

impl<I: ServiceInstance> EtcdRegistryBuilder<I> {
    /// The namespace: everything is under `{prefix}/`. Registries of different prefixes do not see each other. Default
    /// `lb`.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        self.keys = Keys::new(prefix.as_ref());
        self
    }

    /// Takes the layout of another project, where the instances are at `{prefix}/{service}/{id}`; configuration and
    /// overrides are then under `{prefix}/.lb/`. In place of [`prefix`](Self::prefix).
    pub fn instances_under(mut self, prefix: impl AsRef<str>) -> Self {
        self.keys = Keys::elsewhere(prefix.as_ref());
        self
    }

    /// How instances are written. Default [`NativeCodec`].
    pub fn codec(mut self, codec: impl Codec<I>) -> Self {
        self.codec = Arc::new(codec);
        self
    }

    /// The name and password of a user. The token is renewed by itself.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.user = Some((name.into(), password.into()));
        self
    }

    /// Secures the connection. Endpoints then begin with `https://`.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// How long a connection to one member may take to be made. Default 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect = timeout;
        self
    }

    /// How long a write may take, all members that are tried included. Default 5 s. One member is given 2 s at most, less
    /// if the time-to-live is below 12 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request = timeout;
        self.settings.attempt = self.settings.attempt.min(timeout);
        self
    }

    /// How long announced instances outlive their process. Default 15 s; whole seconds, at least 2, or what etcd makes of
    /// it. A sign of life is sent three times in it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Duration::from_secs(ttl.as_secs().max(2));
        self
    }

    /// What becomes of instances that vanish. Default [`RemovalPolicy::for_ttl`] of the time-to-live.
    pub fn removal(mut self, policy: RemovalPolicy) -> Self {
        self.removal = Some(policy);
        self
    }

    /// Keeps only the services that `filter` says yes to; the others are as if they did not exist. Must always give the
    /// same answer. Default: all.
    pub fn services(mut self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.catalog = self.catalog.keeping(filter);
        self
    }

    /// How long [`connect`](Self::connect) waits for the first list. Default 5 s.
    pub fn initial_timeout(mut self, timeout: Duration) -> Self {
        self.initial_timeout = timeout;
        self
    }

    /// What to do if etcd cannot be reached at the start. Default [`WhenDown::Fail`].
    pub fn when_down(mut self, what: WhenDown) -> Self {
        self.when_down = what;
        self
    }

    /// Keeps what is known in this file, for a start while etcd is away: then [`connect`](Self::connect) succeeds after the
    /// initial timeout with what the file holds, and snapshots say [`ColdCache`](lb_core::registry::Freshness::ColdCache)
    /// until etcd is there. Each registry needs a file of its own. Default none.
    pub fn cache(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(path.into());
        self
    }

    /// How often everything is listed and compared with what is known, to be safe from whatever a watch may miss; each
    /// time 20 % shorter or longer, by chance. Default 5 min.
    pub fn anti_entropy(mut self, period: Duration) -> Self {
        self.timing.anti_entropy = period.max(Duration::from_secs(1));
        self
    }

    /// Fixes chance (who is asked first, jitter, generations), for tests and simulations. Two processes must not have the
    /// same seed: they would take each other's instances for their own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Arc::new(SeededRandom::new(seed));
        self
    }

    /// Connects, and waits until everything has been listed once.
    ///
    /// # Errors
    ///
    /// A setting cannot be used, etcd does not accept the user, or none of the endpoints could be reached within
    /// [`initial_timeout`](Self::initial_timeout) and [`when_down`](Self::when_down) does not say to go on.
    pub async fn connect(mut self) -> Result<EtcdRegistry<I>, EtcdError> {
        // A member that hangs must be left before the next sign of life is due.
        let attempt = (self.ttl / 6).max(LEAST_ATTEMPT);
        self.settings.attempt = self.settings.attempt.min(attempt);
        let pool = Arc::new(Pool::new(self.endpoints, self.settings, &*self.random)?);
        let clock = RuntimeClock::start();
        let removal = self.removal.unwrap_or_else(|| RemovalPolicy::for_ttl(self.ttl));
        let catalog = Catalog::new(self.catalog.with_removal(removal), SystemTime::now());
        let store = Arc::new(Store { pool: Arc::clone(&pool), keys: self.keys.clone() });
        let own = Arc::new(Own::default());
        let tasks = Arc::new(Tasks(OnceLock::new()));
        let announcements = Announcements::new(
            Arc::clone(&store),
            Arc::clone(&self.codec),
            catalog.clone(),
            Arc::clone(&own),
            self.ttl,
            Arc::downgrade(&tasks),
        );
        let keeper = KeeperOptions::new(Leases::Shared, self.ttl).draining_first();
        let random = Arc::clone(&self.random);
        let announcer = Arc::new(Announcer::spawn(announcements, keeper, catalog.clone(), random));
        own.tell(&announcer);
        let intake =
            Arc::new(Intake::new(catalog.clone(), self.keys.clone(), Arc::clone(&self.codec), clock, own));
        let mut progress = intake.progress();
        let sink: Arc<dyn Sink> = intake;
        let follow = Follow::new(pool, self.keys.range(), sink, Arc::clone(&self.random), self.timing);

        // They end with `tasks`, also if this future is dropped while it waits.
        let following = tokio::spawn(follow.run()).abort_handle();
        let expiring = tokio::spawn(expire(catalog.clone(), clock)).abort_handle();
        let mut running = vec![following, expiring];
        let cache = self.cache.map(|path| {
            Arc::new(DiskCache::with_codec(
                path,
                format!("etcd, {}", self.keys.root()),
                Arc::clone(&self.codec),
            ))
        });
        if let Some(cache) = &cache {
            running.push(tokio::spawn(Arc::clone(cache).keep(&catalog)).abort_handle());
        }
        tasks.0.get_or_init(|| running);

        let first = until_following(&mut progress);
        let outcome = if self.when_down == WhenDown::Wait && cache.is_none() {
            first.await
        } else {
            match timeout(self.initial_timeout, first).await {
                Ok(outcome) => outcome,
                Err(_) if restore(cache, &catalog, clock).await || self.when_down == WhenDown::Go => Ok(()),
                Err(_) if self.when_down == WhenDown::Wait => until_following(&mut progress).await,
                Err(_) => Err(progress.borrow().error.clone()),
            }
        };
        if let Err(error) = outcome {
            return Err(error.unwrap_or_else(|| {
                let message = format!("nothing was listed within {:?}", self.initial_timeout);
                EtcdError::new("connect", store.pool.endpoint(0), EtcdErrorKind::Timeout, message)
            }));
        }
        let (codec, random) = (self.codec, self.random);
        let inner = Inner { catalog, store, codec, clock, random, announcer, progress, _tasks: tasks };
        Ok(EtcdRegistry { inner: Arc::new(inner) })
    }
}

/// Waits until everything has been listed, or until it is clear that it never will be.
async fn until_following(progress: &mut watch::Receiver<Progress>) -> Result<(), Option<EtcdError>> {
    let done = |progress: &Progress| {
        progress.following || progress.error.as_ref().is_some_and(|error| is_final(error.kind()))
    };
    match progress.wait_for(done).await {
        Ok(progress) if progress.following => Ok(()),
        Ok(progress) => Err(progress.error.clone()),
        Err(_) => Err(None),
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
            tracing::warn!(written = ?cached.written, "etcd cannot be reached; beginning with the disk cache");
            catalog.restore(cached.image, clock.now())
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the disk cache is not used");
            false
        }
        Ok(Ok(None)) | Err(_) => false,
    }
}

/// Whether waiting cannot help.
fn is_final(kind: EtcdErrorKind) -> bool {
    matches!(kind, EtcdErrorKind::Invalid | EtcdErrorKind::Unauthenticated | EtcdErrorKind::PermissionDenied)
}

/// Drops suspects when their time is over.
async fn expire<I: ServiceInstance>(catalog: Catalog<I>, clock: RuntimeClock) {
    let mut moved = catalog.subscribe();
    loop {
        let deadline = catalog.next_deadline();
        tokio::select! {
            () = clock.sleep_until(deadline) => catalog.expire(clock.now()),
            moved = moved.changed() => if moved.is_err() { return },
        }
    }
}

impl<I> fmt::Debug for EtcdRegistryBuilder<I> {
    /// Prints no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdRegistryBuilder")
            .field("endpoints", &self.endpoints)
            .field("keys", &self.keys)
            .field("settings", &self.settings)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
