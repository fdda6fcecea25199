//! Which services are in service: a map that calls read without a lock.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::OnceCell;

use super::clock::EngineClock;
use super::served::Served;
use crate::instance::ServiceInstance;
use crate::pool::PoolContext;
use crate::registry::{RegistryError, ServiceRegistry};

type Map<I> = HashMap<Arc<str>, Arc<Served<I>>, foldhash::fast::RandomState>;
type Opening<I> = OnceCell<Arc<Served<I>>>;

/// All services in service, and those that are just being looked up.
pub(crate) struct Directory<I> {
    registry: Arc<dyn ServiceRegistry<I>>,
    context: Arc<PoolContext<I>>,
    clock: EngineClock,
    idle: Duration,
    map: ArcSwap<Map<I>>,
    /// Names that somebody is asking the registry about, or waiting for. Concurrent callers share one look-up; an
    /// entry goes with the last of them, so asking for what does not exist leaves nothing behind.
    opening: Mutex<HashMap<Arc<str>, Weak<Opening<I>>>>,
    this: Weak<Self>,
}

/// A service that was found in the registry, or at least watched for.
pub(crate) struct Resolved<I> {
    served: Arc<Served<I>>,
    /// Keeps a service that is not known yet shared between those who wait for it.
    _opening: Option<Shared<I>>,
}

impl<I> std::ops::Deref for Resolved<I> {
    type Target = Arc<Served<I>>;
    fn deref(&self) -> &Arc<Served<I>> {
        &self.served
    }
}

struct Shared<I> {
    name: Arc<str>,
    opening: Option<Arc<Opening<I>>>,
    directory: Weak<Directory<I>>,
}

impl<I> Drop for Shared<I> {
    fn drop(&mut self) {
        let Some(directory) = self.directory.upgrade() else { return };
        let mut opening = directory.opening.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opening.take());
        if opening.get(&self.name).is_some_and(|other| other.strong_count() == 0) {
            opening.remove(&self.name);
        }
    }
}

impl<I: ServiceInstance> Directory<I> {
    pub(crate) fn new(
        registry: Arc<dyn ServiceRegistry<I>>,
        context: Arc<PoolContext<I>>,
        clock: EngineClock,
        idle: Duration,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            registry,
            context,
            clock,
            idle,
            map: ArcSwap::default(),
            opening: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    pub(crate) fn registry(&self) -> &Arc<dyn ServiceRegistry<I>> {
        &self.registry
    }

    #[inline]
    pub(crate) fn clock(&self) -> EngineClock {
        self.clock
    }

    #[inline]
    pub(crate) fn clock_ref(&self) -> &EngineClock {
        &self.clock
    }

    pub(crate) fn context(&self) -> &PoolContext<I> {
        &self.context
    }

    /// The services in service. No lock, no reference count.
    #[inline]
    pub(crate) fn map(&self) -> Guard<Arc<Map<I>>> {
        self.map.load()
    }

    /// The service of that name, looked up in the registry if it is not in service yet.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Resolved<I>, RegistryError> {
        if let Some(served) = self.map().get(name) {
            served.refresh();
            served.drive(&self.this, self.idle);
            return Ok(Resolved { served: Arc::clone(served), _opening: None });
        }
        let shared = self.share(name);
        let Some(opening) = &shared.opening else { return Err(RegistryError::Closed) };
        // If the caller that asks is cancelled, the next one in line asks.
        let served = opening.get_or_try_init(|| self.open(name)).await?;
        let served = Arc::clone(served);
        served.touch();
        if served.pool().is_known() {
            self.adopt(&served);
            return Ok(Resolved { served, _opening: None });
        }
        Ok(Resolved { served, _opening: Some(shared) })
    }

    async fn open(&self, name: &str) -> Result<Arc<Served<I>>, RegistryError> {
        let watch = self.registry.watch(name).await?;
        Ok(Served::start(name, watch, &self.context, self.clock, &self.this, self.idle))
    }

    fn share(&self, name: &str) -> Shared<I> {
        let mut all = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = name.into();
        let opening = all.get(&name).and_then(Weak::upgrade).unwrap_or_else(|| {
            let opening = Arc::default();
            all.insert(Arc::clone(&name), Arc::downgrade(&opening));
            opening
        });
        Shared { name, opening: Some(opening), directory: Weak::clone(&self.this) }
    }

    /// Puts a service that turned out to exist where calls find it.
    pub(crate) fn adopt(&self, served: &Arc<Served<I>>) {
        let name = served.pool().service();
        if self.map().contains_key(name) {
            return;
        }
        self.map.rcu(|map| {
            let mut map = Map::clone(map);
            map.entry(Arc::clone(name)).or_insert_with(|| Arc::clone(served));
            map
        });
    }

    /// Lets an idle service go. Who holds it (a handle, a call) keeps it going; the next call looks it up anew.
    pub(crate) fn release(&self, served: &Arc<Served<I>>) {
        let name = served.pool().service();
        // This reference, the caller's, and the map's: nobody else.
        if Arc::strong_count(served) > 2 {
            return;
        }
        tracing::debug!(service = %name, "idle service let go");
        self.map.rcu(|map| {
            let mut map = Map::clone(map);
            if map.get(name).is_some_and(|there| Arc::ptr_eq(there, served)) {
                map.remove(name);
            }
            map
        });
    }
}

impl<I> fmt::Debug for Directory<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}
