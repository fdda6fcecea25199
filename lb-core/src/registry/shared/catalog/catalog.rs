//! The catalog as its users hold it: [`Catalog`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::watch;

use super::change::{Change, Listing, Reset};
use super::image::{Export, Image};
use super::options::{CatalogOptions, Numbering};
use super::state::{Garbage, State};
use super::status::{Counters, RegistryStatus};
use crate::instance::ServiceInstance;
use crate::registry::publisher::SnapshotWatch;
use crate::registry::snapshot::{Freshness, Revision, Snapshot};
use crate::time::Time;

/// What one registry object knows of all services: fed by the one task that reads the store, read by everybody.
///
/// The watch loop hands in what it hears: whole listings ([`reset`](Self::reset)), single changes
/// ([`apply`](Self::apply)), the passing of time ([`expire`](Self::expire)), and whether the store can be reached
/// ([`set_freshness`](Self::set_freshness)). The catalog makes snapshots of it, shares what did not change, and
/// publishes each service that a batch touches once. The time is an argument, so that all of it can be tested and
/// simulated; nothing here waits for the store. Cloning gives another handle on the same catalog.
///
/// # What is gone, and what is not
///
/// An instance that was taken out ([`ChangeKind::NoInstance`] with `explicit`, or one whose last word was that it
/// drains) leaves at once. What vanishes otherwise goes by the [`RemovalPolicy`](super::RemovalPolicy): a few are
/// believed; a crowd, or the last one, is kept as suspects for a bounded time. One that comes back, of the same
/// [`Generation`](crate::registry::shared::Generation), is the same instance: its counters go on. While the store cannot
/// be reached the time of suspects stands still, because none of them could come back.
///
/// # Overrides
///
/// What an operator lays over an instance is a key of its own in the store, and belongs to the id. It stays when the
/// instance is written anew and when its announcement ends, so that a drained instance stays drained across a
/// deployment; it goes when somebody *deregisters* the id: then the registry deletes both keys in one write.
///
/// # Revisions
///
/// A store that was wiped, or restored from a copy, counts from a smaller number again. The revisions of snapshots
/// never go back: the catalog adds an offset, which grows when the history turns out to be another one. So public
/// revisions are numbers of this process; [`to_store`](Self::to_store) and [`from_store`](Self::from_store) translate,
/// for writes that compare.
///
/// # Idempotence
///
/// Changes must come in the order of their revisions; some may come again. What is older than the last change (of the
/// service, or of the store; see [`Numbering`]) is passed over, and a change that is known already publishes nothing.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use lb_core::registry::shared::{Catalog, CatalogOptions, Change, Generation, Listing, Record, Reset};
/// use lb_core::registry::{Freshness, InstanceState};
/// use lb_core::{Instance, ThreadRandom, Time};
///
/// let catalog = Catalog::new(CatalogOptions::default(), SystemTime::now());
/// let watch = catalog.watch("cart");
/// let record = Record::new(Instance::new("cart-1"), Generation::new(&ThreadRandom));
///
/// let mut now = Time::ORIGIN;
/// assert_eq!(catalog.reset(Listing::new(41, [Change::instance("cart", 40, record.clone())]), now), Reset::Applied);
/// catalog.set_freshness(Freshness::Live, now);
/// assert_eq!(watch.current().entries.len(), 1);
///
/// // The last instance vanishes: is it gone, or has the store lost it?
/// catalog.apply([Change::vanished("cart", 42, "cart-1")], now);
/// assert_eq!(watch.current().entries.get("cart-1").unwrap().state, InstanceState::Suspect);
/// // It is back: the same instance as before.
/// catalog.apply([Change::instance("cart", 43, record)], now);
/// assert_eq!(watch.current().entries.get("cart-1").unwrap().state, InstanceState::Ready);
///
/// catalog.apply([Change::vanished("cart", 44, "cart-1")], now);
/// now = catalog.next_deadline().unwrap();
/// catalog.expire(now);
/// assert!(watch.current().entries.is_empty());
/// ```
///
/// [`ChangeKind::NoInstance`]: super::ChangeKind::NoInstance
pub struct Catalog<I> {
    shared: Arc<Shared<I>>,
}

struct Shared<I> {
    state: Mutex<State<I>>,
    options: CatalogOptions,
    counters: Counters,
    /// Moves with everything that happens.
    moved: watch::Sender<()>,
}

impl<I> Shared<I> {
    /// A panic cannot leave half of a batch published, and what is not published is taken over by the next listing.
    fn lock(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: ServiceInstance> Catalog<I> {
    /// A catalog that knows nothing. Until it is told otherwise it is stale since `now`, by this machine's clock.
    pub fn new(options: CatalogOptions, now: SystemTime) -> Self {
        let state = Mutex::new(State::new(Freshness::Stale { since: now }));
        let (moved, _) = watch::channel(());
        Self { shared: Arc::new(Shared { state, options, counters: Counters::default(), moved }) }
    }

    /// Runs one step under the lock, and lets go of what it left over without it.
    fn step<T>(&self, step: impl FnOnce(&mut State<I>, &mut Garbage<I>) -> T) -> T {
        let mut garbage = Vec::new();
        let result = step(&mut self.shared.lock(), &mut garbage);
        self.shared.moved.send_replace(());
        result
    }

    /// Takes over a listing of the whole store: what is in it is what is there. An instance of the same generation (or,
    /// if others wrote it, of the same revision) keeps its entry; one that is missing has vanished. O(listing).
    ///
    /// For [`Numbering::Store`]. A catalog whose services are numbered on their own is fed by
    /// [`reset_service`](Self::reset_service); there this one is a mistake (an assertion in debug builds).
    pub fn reset(&self, listing: Listing<I>, now: Time) -> Reset {
        debug_assert!(
            self.shared.options.numbering == Numbering::Store,
            "services are numbered on their own"
        );
        let Shared { options, counters, .. } = &*self.shared;
        self.step(|state, garbage| state.reset(listing, options, counters, now, garbage))
    }

    /// Takes over a listing of one service; see [`reset`](Self::reset). An empty one says that there is nothing.
    pub fn reset_service(&self, service: &str, listing: Listing<I>, now: Time) -> Reset {
        let Shared { options, counters, .. } = &*self.shared;
        let name = Arc::from(service);
        self.step(|state, garbage| state.reset_service(&name, listing, options, counters, now, garbage))
    }

    /// Takes over changes, in the order of their revisions, and publishes each service that they touch once. How many
    /// were not known yet.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change<I>>, now: Time) -> usize {
        let options = &self.shared.options;
        self.step(|state, garbage| state.apply(changes, options, now, garbage))
    }

    /// When [`expire`](Self::expire) is to be called next; `None` while there are no suspects, or while the store
    /// cannot be reached.
    pub fn next_deadline(&self) -> Option<Time> {
        self.shared.lock().next_deadline()
    }

    /// Drops the suspects whose time is over.
    pub fn expire(&self, now: Time) {
        let Shared { options, counters, .. } = &*self.shared;
        self.step(|state, garbage| state.expire(options, counters, now, garbage));
    }

    /// Says in every snapshot how far it can be trusted. A catalog that is stale already stays stale since then, and
    /// one that was restored from a cache stays that until it is live.
    pub fn set_freshness(&self, freshness: Freshness, now: Time) {
        self.step(|state, garbage| {
            if state.set_freshness(freshness, now, garbage) {
                tracing::info!(?freshness, "the registry's freshness has changed");
            }
        });
    }

    /// How far what is known can be trusted.
    pub fn freshness(&self) -> Freshness {
        self.shared.lock().freshness
    }

    /// A view of one service, known or not. It costs nothing beyond itself, and leaves nothing behind.
    pub fn watch(&self, service: &str) -> SnapshotWatch<I> {
        let name: Arc<str> = Arc::from(service);
        let watch = {
            let mut state = self.shared.lock();
            let slot = state.slot(&name);
            slot.watches += 1;
            slot.publisher.watch()
        };
        self.shared.moved.send_replace(());
        watch.keeping(Watching { shared: Arc::downgrade(&self.shared), name })
    }

    /// What is known of one service. Leaves nothing behind if that is nothing.
    pub fn latest(&self, service: &str) -> Arc<Snapshot<I>> {
        let state = self.shared.lock();
        match state.services.get(service) {
            Some(slot) => slot.publisher.latest(),
            None => Arc::new(Snapshot::default().with_freshness(state.freshness)),
        }
    }

    /// The names of the services that have an instance or a configuration, in order.
    pub fn services(&self) -> Vec<String> {
        let state = self.shared.lock();
        let known = state.services.iter().filter(|(_, slot)| slot.service.is_known());
        known.map(|(name, _)| name.to_string()).collect()
    }

    /// The names of the services that somebody watches, in order; for a registry that asks its store service by service.
    pub fn watched(&self) -> Vec<Arc<str>> {
        let state = self.shared.lock();
        let watched = state.services.iter().filter(|(_, slot)| slot.watches > 0);
        watched.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Forgets a service that nobody watches, for a registry that does not keep it up to date any more. `false`:
    /// somebody watches it.
    pub fn let_go(&self, service: &str) -> bool {
        self.step(|state, garbage| state.let_go(service, garbage))
    }

    /// Whether a service is kept at all; see [`CatalogOptions::keeping`].
    pub fn keeps(&self, service: &str) -> bool {
        self.shared.options.keeps(service)
    }

    /// The store's revision that a public one stands for, for a write that compares with it; 0 for
    /// [`Revision::NONE`]. `None`: it is of a history that the store has lost, so nothing can be at it.
    pub fn to_store(&self, service: &str, revision: Revision) -> Option<u64> {
        if revision == Revision::NONE {
            return Some(0);
        }
        revision.get().checked_sub(self.shared.lock().offset(service)).filter(|&revision| revision > 0)
    }

    /// The public number of a revision of the store; [`Revision::NONE`] for 0.
    pub fn from_store(&self, service: &str, revision: u64) -> Revision {
        if revision == 0 {
            return Revision::NONE;
        }
        Revision::new(self.shared.lock().offset(service).saturating_add(revision))
    }

    /// The store's revision up to which a service is known: every change up to it has been taken over.
    pub fn applied(&self, service: &str) -> u64 {
        self.shared.lock().applied(service)
    }

    /// Waits until a service is known up to a revision of the store, so that who has written can read what they wrote.
    /// Waits for ever if the store cannot be reached: put a time-out around it. Cancel-safe.
    pub async fn reached(&self, service: &str, revision: u64) {
        let mut moved = self.subscribe();
        while self.applied(service) < revision && moved.changed().await.is_ok() {}
    }

    /// Tells whenever something has changed: an instance, the freshness, who watches.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.shared.moved.subscribe()
    }

    /// What is known, for a cache. O(services).
    pub fn export(&self) -> Export<I> {
        self.shared.lock().export()
    }

    /// Takes over what a cache held, as [`Freshness::ColdCache`]. `false`: something is known already, which is better.
    pub fn restore(&self, image: Image<Change<I>>, now: Time) -> bool {
        let options = &self.shared.options;
        self.step(|state, garbage| state.restore(image, options, now, garbage))
    }

    /// A handle that does not keep the catalog alive.
    pub fn downgrade(&self) -> WeakCatalog<I> {
        WeakCatalog { shared: Arc::downgrade(&self.shared) }
    }

    /// What the registry counts besides.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The state of the registry, for operators. O(services).
    pub fn status(&self) -> RegistryStatus {
        self.shared.lock().status(&self.shared.counters)
    }

    /// How many services take memory: known ones, and watched ones.
    pub fn len(&self) -> usize {
        self.shared.lock().services.len()
    }

    /// Whether nothing takes memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A handle on a [`Catalog`] that does not keep it alive: for tasks that end with it.
pub struct WeakCatalog<I> {
    shared: Weak<Shared<I>>,
}

impl<I> WeakCatalog<I> {
    /// The catalog, if somebody still has it.
    pub fn upgrade(&self) -> Option<Catalog<I>> {
        Some(Catalog { shared: self.shared.upgrade()? })
    }
}

impl<I> Clone for WeakCatalog<I> {
    fn clone(&self) -> Self {
        Self { shared: Weak::clone(&self.shared) }
    }
}

impl<I> fmt::Debug for WeakCatalog<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCatalog").finish_non_exhaustive()
    }
}

impl<I> Clone for Catalog<I> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<I> fmt::Debug for Catalog<I> {
    /// Prints how many services there are, and no instance: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Catalog")
            .field("services", &state.services.len())
            .field("freshness", &state.freshness)
            .finish_non_exhaustive()
    }
}

/// Lives in a watch and counts it. While it lives its service stays in the map, so it always counts the right one.
struct Watching<I: ServiceInstance> {
    shared: Weak<Shared<I>>,
    name: Arc<str>,
}

impl<I: ServiceInstance> Drop for Watching<I> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut garbage = Vec::new();
        {
            let mut state = shared.lock();
            if let Some(slot) = state.services.get_mut(&self.name) {
                slot.watches -= 1;
            }
            state.tidy(&self.name, &mut garbage);
        }
        shared.moved.send_replace(());
    }
}
