//! The announcements of one process: [`Keeping`], and one of them, [`Kept`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lb_core::registry::shared::{Catalog, Codec, Record};
use lb_core::{RandomSource, ServiceInstance};
use tokio::sync::Notify;

use super::lease::Lease;
use crate::intake::Own;
use crate::store::Store;

/// Service and id.
pub(super) type Name = (Arc<str>, Arc<str>);

/// Everything that has to do with the announcements of one process.
pub(crate) struct Keeping<I> {
    pub(super) store: Arc<Store>,
    pub(super) codec: Arc<dyn Codec<I>>,
    pub(super) catalog: Catalog<I>,
    pub(super) random: Arc<dyn RandomSource>,
    pub(super) lease: Lease,
    state: Mutex<State<I>>,
    /// There is something to tend to.
    pub(super) wake: Notify,
}

struct State<I> {
    kept: HashMap<Name, Arc<Kept<I>>>,
    /// Keys that may not be as they should be.
    doubtful: HashSet<Name>,
    /// Announcements that were dropped.
    dropped: Vec<Arc<Kept<I>>>,
    closed: bool,
}

/// What there is to tend to.
pub(super) struct Work<I> {
    pub(super) doubtful: Vec<Arc<Kept<I>>>,
    pub(super) dropped: Vec<Arc<Kept<I>>>,
}

/// One announcement.
pub(super) struct Kept<I> {
    pub(super) name: Name,
    /// Held while its key is being written. Whoever waits for it waits for etcd.
    pub(super) written: tokio::sync::Mutex<Written<I>>,
}

/// What this process wants to be under the key.
pub(super) struct Written<I> {
    pub(super) record: Record<I>,
    pub(super) value: Vec<u8>,
}

impl<I: ServiceInstance> Keeping<I> {
    pub(crate) fn new(
        store: Arc<Store>,
        codec: Arc<dyn Codec<I>>,
        catalog: Catalog<I>,
        random: Arc<dyn RandomSource>,
        ttl: std::time::Duration,
    ) -> Self {
        let state =
            State { kept: HashMap::new(), doubtful: HashSet::new(), dropped: Vec::new(), closed: false };
        let lease = Lease::new(ttl);
        Self { store, codec, catalog, random, lease, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, n: usize) {
        self.catalog.counters().announcing(n as u64);
    }

    /// Takes the place of an earlier announcement of the same id.
    pub(super) fn insert(&self, kept: &Arc<Kept<I>>) {
        let (n, _before) = {
            let mut state = self.state();
            let before = state.kept.insert(kept.name.clone(), Arc::clone(kept));
            (state.kept.len(), before)
        };
        self.count(n);
    }

    /// Whether it is the announcement of its id; another one, or `register`, may have taken its place.
    pub(super) fn is_current(&self, kept: &Arc<Kept<I>>) -> bool {
        self.state().kept.get(&kept.name).is_some_and(|current| Arc::ptr_eq(current, kept))
    }

    /// Keeps it no longer. Whether it was the announcement of its id.
    pub(super) fn forget(&self, kept: &Arc<Kept<I>>) -> bool {
        let (n, removed) = {
            let mut state = self.state();
            let removed = state.kept.get(&kept.name).is_some_and(|current| Arc::ptr_eq(current, kept));
            // The caller has it, too: nothing is dropped under the lock.
            if removed {
                state.kept.remove(&kept.name);
            }
            (state.kept.len(), removed)
        };
        self.count(n);
        if n == 0 {
            // The lease can be given back.
            self.wake.notify_one();
        }
        removed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().kept.is_empty()
    }

    /// Its handle was dropped.
    pub(super) fn abandon(&self, kept: Arc<Kept<I>>) {
        self.state().dropped.push(kept);
        self.wake.notify_one();
    }

    /// The key may not be as it should be.
    pub(super) fn doubt(&self, name: Name) {
        self.state().doubtful.insert(name);
        self.wake.notify_one();
    }

    /// No key may be as it should be.
    pub(super) fn doubt_all(&self) {
        {
            let mut state = self.state();
            let names: Vec<_> = state.kept.keys().cloned().collect();
            state.doubtful.extend(names);
        }
        self.wake.notify_one();
    }

    /// What there is to do; it is not told again.
    pub(super) fn work(&self) -> Work<I> {
        let mut state = self.state();
        let doubtful = mem::take(&mut state.doubtful);
        let doubtful = doubtful.iter().filter_map(|name| state.kept.get(name)).map(Arc::clone).collect();
        Work { doubtful, dropped: mem::take(&mut state.dropped) }
    }

    /// Nobody has a handle on the registry any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

impl<I: ServiceInstance> Own for Keeping<I> {
    fn touched(&self, service: &str, id: &str, now: Option<(&[u8], i64)>) {
        if self.is_empty() {
            return;
        }
        let name: Name = (Arc::from(service), Arc::from(id));
        let Some(kept) = self.state().kept.get(&name).map(Arc::clone) else { return };
        // While it is being written, nobody can say; who writes it will be told of it again.
        if let (Ok(written), Some((value, lease))) = (kept.written.try_lock(), now)
            && written.value == value
            && Some(lease) == self.lease.known()
        {
            return;
        }
        self.doubt(name);
    }

    fn listed(&self, there: &dyn Fn(&str, &str) -> bool) {
        let names: Vec<Name> = self.state().kept.keys().cloned().collect();
        for name in names {
            if !there(&name.0, &name.1) {
                self.doubt(name);
            }
        }
    }
}

impl<I> fmt::Debug for Keeping<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeping").finish_non_exhaustive()
    }
}
