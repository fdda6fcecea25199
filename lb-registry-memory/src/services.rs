//! The map of services, the one way of writing to it, and who watches: [`Services`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lb_core::ServiceInstance;
use lb_core::registry::{Publisher, RegistryError, Revision, Snapshot, SnapshotWatch};

/// All services of one registry. A service that is neither known nor watched is not in the map.
pub(crate) struct Services<I> {
    state: Mutex<State<I>>,
}

struct State<I> {
    services: BTreeMap<Arc<str>, Slot<I>>,
    /// The revision of the last write to any service.
    written: u64,
}

struct Slot<I> {
    publisher: Arc<Publisher<I>>,
    /// Watches whose guard is alive; counted under the lock, so that cleaning up cannot race with a new watch.
    watches: usize,
}

impl<I> Default for Services<I> {
    fn default() -> Self {
        Self { state: Mutex::new(State { services: BTreeMap::new(), written: Revision::NONE.get() }) }
    }
}

impl<I: ServiceInstance> Default for Slot<I> {
    fn default() -> Self {
        Self { publisher: Arc::default(), watches: 0 }
    }
}

impl<I: ServiceInstance> State<I> {
    fn latest(&self, service: &str) -> Arc<Snapshot<I>> {
        self.services.get(service).map_or_else(Arc::default, |slot| slot.publisher.latest())
    }

    /// Takes the service out of the map if nothing holds it there. The caller drops it without the lock.
    fn take_idle(&mut self, service: &str) -> Option<Slot<I>> {
        let slot = self.services.get(service)?;
        if slot.watches == 0 && !slot.publisher.latest().is_known() {
            self.services.remove(service)
        } else {
            None
        }
    }
}

impl<I> Services<I> {
    /// A panic cannot leave the map half written (the latest snapshots are its whole state), so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many services are in the map, watched ones included.
    pub(crate) fn len(&self) -> usize {
        self.lock().services.len()
    }
}

impl<I: ServiceInstance> Services<I> {
    /// What is known of a service. Leaves nothing behind if that is nothing.
    pub(crate) fn latest(&self, service: &str) -> Arc<Snapshot<I>> {
        self.lock().latest(service)
    }

    /// The names of the services that have an instance or a configuration, in order.
    pub(crate) fn known(&self) -> Vec<String> {
        let state = self.lock();
        let known = state.services.iter().filter(|(_, slot)| slot.publisher.latest().is_known());
        known.map(|(name, _)| name.to_string()).collect()
    }

    /// One write: `edit` makes the next snapshot out of the latest one, given the revision of the write. If it returns
    /// `None` or an error, nothing has happened. Else the snapshot is published, and when this returns, every balancer
    /// that watches has taken it over.
    ///
    /// `edit` runs under the lock of the whole registry, so it must be short and must not drop an instance.
    pub(crate) fn write<T>(
        &self,
        service: &str,
        edit: impl FnOnce(&mut Snapshot<I>, Revision) -> Result<Option<T>, RegistryError>,
    ) -> Result<Option<T>, RegistryError> {
        // What the write lets go of outlives the lock: dropping an instance runs its owner's code, which may come back.
        let (_before, _idle);
        let (publisher, done) = {
            let mut state = self.lock();
            let before = state.latest(service);
            let revision = Revision::new(state.written + 1);
            let mut after = Snapshot::clone(&before);
            let Some(done) = edit(&mut after, revision)? else { return Ok(None) };
            after.revision = revision;
            state.written = revision.get();

            let slot = match state.services.get_mut(service) {
                Some(slot) => slot,
                None => state.services.entry(Arc::from(service)).or_default(),
            };
            let publisher = Arc::clone(&slot.publisher);
            publisher.publish(after);
            _idle = state.take_idle(service);
            _before = before;
            (publisher, done)
        };
        publisher.apply();
        Ok(Some(done))
    }

    /// A watch on a service, known or not. It does not keep the registry alive.
    pub(crate) fn watch(self: &Arc<Self>, service: &str) -> SnapshotWatch<I> {
        let name: Arc<str> = Arc::from(service);
        let mut state = self.lock();
        let slot = state.services.entry(Arc::clone(&name)).or_default();
        slot.watches += 1;
        slot.publisher.watch().keeping(Watching { services: Arc::downgrade(self), name })
    }

    fn unwatch(&self, service: &str) {
        // As in `write`: dropped without the lock.
        let _idle = {
            let mut state = self.lock();
            if let Some(slot) = state.services.get_mut(service) {
                slot.watches -= 1;
            }
            state.take_idle(service)
        };
    }
}

impl<I> fmt::Debug for Services<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("services", &self.len()).finish_non_exhaustive()
    }
}

/// Lives in a watch and counts it. While it lives its service stays in the map, so it always counts the right one.
struct Watching<I: ServiceInstance> {
    services: Weak<Services<I>>,
    name: Arc<str>,
}

impl<I: ServiceInstance> Drop for Watching<I> {
    fn drop(&mut self) {
        if let Some(services) = self.services.upgrade() {
            services.unwatch(&self.name);
        }
    }
}
