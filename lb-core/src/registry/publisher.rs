//! The two ends between a registry and a balancer: [`Publisher`] and [`SnapshotWatch`]. They are the same for all
//! registries, so that none has to get waking, sharing and cleaning up right by itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use thiserror::Error;
use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::instance::ServiceInstance;

type Listener = dyn Fn() + Send + Sync;

#[derive(Default)]
struct Listeners(Mutex<Vec<Weak<Listener>>>);

impl Listeners {
    fn alive(&self) -> Vec<Arc<Listener>> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The registry's end: publishes snapshots of one service.
///
/// [`publish`](Self::publish) stores a snapshot and wakes who waits for it. A registry in the same process calls
/// [`apply`](Self::apply) after it, which does the balancers' rebuilding here and now, on the writer's side, so that
/// the write is seen by the next pick. A registry that reads a network stream does not: its reading must go on.
///
/// ```
/// use std::sync::Arc;
/// use lb_core::Instance;
/// use lb_core::registry::{Entries, Entry, Publisher, Revision, Snapshot};
///
/// let publisher = Publisher::default();
/// let watch = publisher.watch();
/// assert!(!watch.current().is_known());
///
/// let entry = Arc::new(Entry::new(Instance::new("cart-1"), Revision::new(1)));
/// publisher.publish(Snapshot::new(Entries::from_iter([entry]), None, Revision::new(1)));
/// publisher.apply();
/// assert_eq!(watch.current().entries.len(), 1);
/// ```
pub struct Publisher<I> {
    sender: watch::Sender<Arc<Snapshot<I>>>,
    listeners: Arc<Listeners>,
}

impl<I: ServiceInstance> Default for Publisher<I> {
    fn default() -> Self {
        Self::new(Snapshot::default())
    }
}

impl<I: ServiceInstance> Publisher<I> {
    /// A publisher whose watches start with `snapshot`.
    pub fn new(snapshot: Snapshot<I>) -> Self {
        Self { sender: watch::Sender::new(Arc::new(snapshot)), listeners: Arc::default() }
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot<I>> {
        Arc::clone(&self.sender.borrow())
    }

    /// Makes `snapshot` the latest one and wakes the watches. Never blocks on them. Snapshots must be published in
    /// the order of their revisions: hold your own lock around making and publishing one.
    pub fn publish(&self, snapshot: impl Into<Arc<Snapshot<I>>>) {
        self.sender.send_replace(snapshot.into());
    }

    /// Has every balancer that watches take over the latest snapshot before this returns. Call it without holding a
    /// lock. When several writers call it at once, one rebuild serves them all.
    pub fn apply(&self) {
        for listener in self.listeners.alive() {
            listener();
        }
    }

    /// A new watch on this service.
    pub fn watch(&self) -> SnapshotWatch<I> {
        SnapshotWatch {
            receiver: self.sender.subscribe(),
            listeners: Arc::downgrade(&self.listeners),
            listener: None,
            keep_alive: None,
        }
    }

    /// How many watches there are.
    pub fn watches(&self) -> usize {
        self.sender.receiver_count()
    }
}

impl<I> fmt::Debug for Publisher<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("watches", &self.sender.receiver_count()).finish_non_exhaustive()
    }
}

/// The registry has dropped its [`Publisher`]: no further snapshot will come. The last one stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the registry that published this service is gone; its last snapshot stays in force")]
pub struct PublisherGone;

/// The balancer's end: always has the latest snapshot of one service. Intermediate ones may be skipped.
pub struct SnapshotWatch<I> {
    receiver: watch::Receiver<Arc<Snapshot<I>>>,
    listeners: Weak<Listeners>,
    listener: Option<Arc<Listener>>,
    keep_alive: Option<Box<dyn Send + Sync>>,
}

impl<I: ServiceInstance> SnapshotWatch<I> {
    /// The latest snapshot. Never waits for the network.
    pub fn current(&self) -> Arc<Snapshot<I>> {
        Arc::clone(&self.receiver.borrow())
    }

    /// Waits until a snapshot is published that this method has not returned yet, and returns the latest.
    /// Cancel-safe: a dropped wait loses nothing.
    pub async fn changed(&mut self) -> Result<Arc<Snapshot<I>>, PublisherGone> {
        self.receiver.changed().await.map_err(|_| PublisherGone)?;
        Ok(Arc::clone(&self.receiver.borrow_and_update()))
    }

    /// Has `listener` called by [`Publisher::apply`], on the writer's side, for as long as this watch lives. Replaces
    /// an earlier listener.
    pub fn on_apply(&mut self, listener: impl Fn() + Send + Sync + 'static) {
        let listener: Arc<Listener> = Arc::new(listener);
        if let Some(listeners) = self.listeners.upgrade() {
            let mut listeners = listeners.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those of watches that are gone; a registry may never call `apply`, which drops them, too.
            listeners.retain(|other| other.strong_count() > 0);
            listeners.push(Arc::downgrade(&listener));
        }
        self.listener = Some(listener);
    }

    /// Keeps `guard` alive as long as this watch (and what it is split into) lives: how a registry learns that nobody
    /// watches a service any more.
    #[must_use]
    pub fn keeping(mut self, guard: impl Send + Sync + 'static) -> Self {
        self.keep_alive = Some(Box::new(guard));
        self
    }

    /// A reader without the listener and the registry's guard.
    pub(crate) fn reader(&self) -> SnapshotReader<I> {
        SnapshotReader(self.receiver.clone())
    }
}

impl<I> fmt::Debug for SnapshotWatch<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWatch").finish_non_exhaustive()
    }
}

/// Reads the latest snapshot, and waits for the next.
pub(crate) struct SnapshotReader<I>(watch::Receiver<Arc<Snapshot<I>>>);

impl<I> Clone for SnapshotReader<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I> SnapshotReader<I> {
    pub(crate) fn current(&self) -> Arc<Snapshot<I>> {
        Arc::clone(&self.0.borrow())
    }

    pub(crate) async fn changed(&mut self) -> Result<(), PublisherGone> {
        self.0.changed().await.map_err(|_| PublisherGone)
    }
}
