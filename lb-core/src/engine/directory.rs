//! Which services are in service: what calls read, and how it gets there.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::clock::EngineClock;
use super::roster::{Found, Roster};
use super::served::Served;
use crate::check::HealthCheck;
use crate::instance::ServiceInstance;
use crate::pool::PoolContext;
use crate::registry::{RegistryError, ServiceRegistry};

type Opening<I> = OnceCell<Result<Arc<Served<I>>, RegistryError>>;

/// All services in service, and those that are just being looked up.
pub(crate) struct Directory<I> {
    registry: Arc<dyn ServiceRegistry<I>>,
    health_check: Option<Arc<dyn HealthCheck<I>>>,
    context: Arc<PoolContext<I>>,
    clock: EngineClock,
    idle: Duration,
    roster: Arc<Roster<I>>,
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
        // Dropped without the lock: what it holds runs the registry's code.
        let _last = {
            let mut all = directory.opening.lock().unwrap_or_else(PoisonError::into_inner);
            let last = self.opening.take().and_then(Arc::into_inner);
            if all.get(&self.name).is_some_and(|other| other.strong_count() == 0) {
                all.remove(&self.name);
            }
            last
        };
    }
}

impl<I: ServiceInstance> Directory<I> {
    pub(crate) fn new(
        registry: Arc<dyn ServiceRegistry<I>>,
        health_check: Option<Arc<dyn HealthCheck<I>>>,
        context: Arc<PoolContext<I>>,
        clock: EngineClock,
        idle: Duration,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            registry,
            health_check,
            context,
            clock,
            idle,
            roster: Arc::default(),
            opening: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    pub(crate) fn registry(&self) -> &Arc<dyn ServiceRegistry<I>> {
        &self.registry
    }

    pub(crate) fn health_check(&self) -> Option<&Arc<dyn HealthCheck<I>>> {
        self.health_check.as_ref()
    }

    #[inline]
    pub(crate) fn clock(&self) -> EngineClock {
        self.clock
    }

    pub(crate) fn context(&self) -> &PoolContext<I> {
        &self.context
    }

    /// The service of that name, if it is in service.
    #[expect(clippy::inline_always, reason = "see `Roster::find`")]
    #[inline(always)]
    pub(crate) fn get(&self, name: &str) -> Option<Found<I>> {
        self.roster.find(name)
    }

    /// The services in service.
    #[cfg(feature = "metrics")]
    pub(crate) fn all(&self) -> Vec<Arc<Served<I>>> {
        self.roster.all()
    }

    /// The service of that name, looked up in the registry if it is not in service yet.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Resolved<I>, RegistryError> {
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        let shared = self.share(name);
        // Who shared the look-up until now has put the service in before it left.
        if let Some(found) = self.find(name) {
            return Ok(found);
        }
        let Some(opening) = &shared.opening else { return Err(RegistryError::Closed) };
        // If the caller that asks is cancelled, the next one in line asks. An error is for all that waited for it;
        // who comes later asks again.
        let served = opening
            .get_or_init(|| async {
                let opened = self.open(name).await;
                if opened.is_err() {
                    self.unshare(name, opening);
                }
                opened
            })
            .await;
        let served = served.clone()?;
        served.touch();
        if served.pool().is_known() {
            served.drive();
            return Ok(Resolved { served: self.adopt(&served), _opening: None });
        }
        Ok(Resolved { served, _opening: Some(shared) })
    }

    fn find(&self, name: &str) -> Option<Resolved<I>> {
        let served = Arc::clone(self.get(name)?.served());
        served.refresh();
        served.drive();
        Some(Resolved { served, _opening: None })
    }

    async fn open(&self, name: &str) -> Result<Arc<Served<I>>, RegistryError> {
        let watch = self.registry.watch(name).await?;
        let served = Served::start(name, watch, &self.context, self.clock, &self.this, self.idle);
        let roster = Arc::clone(&self.roster);
        served.pool().on_publish(move |home| roster.refresh(home));
        Ok(served)
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

    /// Has the next call begin a look-up of its own.
    fn unshare(&self, name: &str, opening: &Arc<Opening<I>>) {
        let mut all = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(name).is_some_and(|there| std::ptr::eq(there.as_ptr(), Arc::as_ptr(opening))) {
            all.remove(name);
        }
    }

    /// Puts a service that turned out to exist where calls find it. Returns the one that is there now.
    pub(crate) fn adopt(&self, served: &Arc<Served<I>>) -> Arc<Served<I>> {
        let name = served.pool().service();
        match self.get(name) {
            Some(there) => Arc::clone(there.served()),
            None => self.roster.insert(name, served),
        }
    }

    /// Lets an idle service go. Who holds it (a handle, a call) keeps it going; the next call looks it up anew.
    pub(crate) fn release(&self, served: &Arc<Served<I>>) {
        let name = served.pool().service();
        let is_there = self.get(name).is_some_and(|there| Arc::ptr_eq(there.served(), served));
        // This reference, and the roster's: nobody else.
        if !is_there || Arc::strong_count(served) > 2 {
            return;
        }
        self.roster.remove(name, served);
        // Somebody took it, or began a call, just before it was out.
        if Arc::strong_count(served) > 1 || !served.is_idle() {
            self.adopt(served);
        } else {
            tracing::debug!(service = %name, "idle service let go");
        }
    }
}

impl<I> Directory<I> {
    /// Counts, and no instance.
    pub(crate) fn fmt_in(&self, f: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        let looked_up = self.opening.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.field("services", &self.roster.all().len()).field("looked_up", &looked_up).finish_non_exhaustive()
    }
}

impl<I> Drop for Directory<I> {
    fn drop(&mut self) {
        // The services hold the roster that holds them.
        self.roster.clear();
    }
}

impl<I> fmt::Debug for Directory<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_in(&mut f.debug_struct("Directory"))
    }
}
