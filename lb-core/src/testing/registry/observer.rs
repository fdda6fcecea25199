//! A watch that checks what must hold of every snapshot: [`Observer`].

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::bench::Bench;
use crate::instance::{Instance, ServiceInstance};
use crate::registry::{Entries, Entry, Freshness, Snapshot, SnapshotWatch};

/// A watch on one service. Whatever it sees, it checks that revisions do not go back, that entries which did not
/// change are shared with the snapshot before, and that a registry that is well says so.
pub(super) struct Observer {
    bench: Bench,
    service: String,
    watch: SnapshotWatch<Instance>,
    last: Arc<Snapshot<Instance>>,
}

impl Observer {
    pub(super) fn new(bench: Bench, service: &str, watch: SnapshotWatch<Instance>) -> Self {
        let last = watch.current();
        let mut observer = Self { bench, service: service.into(), watch, last: Arc::clone(&last) };
        observer.see(last);
        observer
    }

    /// The latest snapshot, as it is now.
    pub(super) fn current(&mut self) -> Arc<Snapshot<Instance>> {
        self.see(self.watch.current())
    }

    /// Waits until `seen` says yes to a snapshot. `what` completes "waited in vain for …".
    pub(super) async fn until(
        &mut self,
        what: &str,
        seen: impl Fn(&Snapshot<Instance>) -> bool,
    ) -> Arc<Snapshot<Instance>> {
        let give_up = Instant::now() + self.bench.settle;
        loop {
            let snapshot = self.current();
            if seen(&snapshot) {
                return snapshot;
            }
            let Ok(changed) = timeout_at(give_up, self.watch.changed()).await else {
                panic!(
                    "{}: waited in vain for {what} in {:?}; there is {:?}",
                    self.bench, self.service, self.last
                )
            };
            match changed {
                Ok(snapshot) => drop(self.see(snapshot)),
                Err(gone) => panic!("{}: waited for {what}, and the watch ended: {gone}", self.bench),
            }
        }
    }

    /// Waits until these are the ids.
    pub(super) async fn until_ids(&mut self, ids: &[&str]) -> Arc<Snapshot<Instance>> {
        self.until(&format!("the ids {ids:?}"), |snapshot| self::ids(snapshot) == ids).await
    }

    /// Waits until the instance of that id is `instance`.
    pub(super) async fn until_is(&mut self, instance: &Instance) -> Arc<Entry<Instance>> {
        let snapshot = self
            .until(&format!("{instance:?}"), |snapshot| {
                snapshot.entries.get(&instance.id).is_some_and(|entry| *entry.instance == *instance)
            })
            .await;
        self.entry(&snapshot, &instance.id)
    }

    /// Waits until `seen` says yes to the entry of that id.
    pub(super) async fn until_entry(
        &mut self,
        what: &str,
        id: &str,
        seen: impl Fn(&Entry<Instance>) -> bool,
    ) -> Arc<Entry<Instance>> {
        let snapshot =
            self.until(what, |snapshot| snapshot.entries.get(id).is_some_and(|entry| seen(entry))).await;
        self.entry(&snapshot, id)
    }

    /// Waits until the number of retries in the configuration is this one; tests tell configurations apart by it.
    pub(super) async fn until_retries(&mut self, retries: u32) -> Arc<Snapshot<Instance>> {
        self.until(&format!("the configuration with {retries} retries"), |s| {
            self::retries(s) == Some(retries)
        })
        .await
    }

    /// Watches for a quiet period that `holds` says yes to every snapshot. `what` completes "… has changed".
    pub(super) async fn stays(&mut self, what: &str, holds: impl Fn(&Snapshot<Instance>) -> bool) {
        let end = Instant::now() + self.bench.quiet;
        loop {
            let snapshot = self.current();
            assert!(
                holds(&snapshot),
                "{}: {what} has changed in {:?}: there is {snapshot:?}",
                self.bench,
                self.service
            );
            match timeout_at(end, self.watch.changed()).await {
                Ok(Ok(snapshot)) => drop(self.see(snapshot)),
                Ok(Err(gone)) => panic!("{}: the watch ended: {gone}", self.bench),
                Err(_) => return,
            }
        }
    }

    /// Watches for a quiet period that these stay the ids.
    pub(super) async fn stays_ids(&mut self, ids: &[&str]) {
        self.stays(&format!("the set of ids, which should stay {ids:?},"), |s| self::ids(s) == ids).await;
    }

    /// The entry of an id that must be there.
    pub(super) fn entry(&self, snapshot: &Snapshot<Instance>, id: &str) -> Arc<Entry<Instance>> {
        let Some(entry) = snapshot.entries.get(id) else {
            panic!("{}: {id:?} is not in {:?}; there is {snapshot:?}", self.bench, self.service)
        };
        Arc::clone(entry)
    }

    fn see(&mut self, snapshot: Arc<Snapshot<Instance>>) -> Arc<Snapshot<Instance>> {
        let Self { bench, service, last, .. } = self;
        assert!(
            snapshot.revision >= last.revision,
            "{bench}: the revision of {service:?} has gone back, from {} to {}",
            last.revision,
            snapshot.revision
        );
        for written in revisions(&snapshot) {
            assert!(
                written <= snapshot.revision,
                "{bench}: the snapshot of {service:?} is at revision {}, but has something written at {written}",
                snapshot.revision
            );
        }
        if let Some(id) = not_shared(&last.entries, &snapshot.entries) {
            panic!(
                "{bench}: {id:?} of {service:?} did not change, but is another `Arc` in the next snapshot"
            );
        }
        assert_eq!(snapshot.freshness, Freshness::Live, "{bench}: the registry is well, but says otherwise");
        assert_eq!(snapshot.skipped, 0, "{bench}: entries were left out, but all can be read");
        self.last = Arc::clone(&snapshot);
        snapshot
    }
}

fn revisions(snapshot: &Snapshot<Instance>) -> impl Iterator<Item = crate::registry::Revision> {
    let config = snapshot.config.iter().map(|entry| entry.revision);
    snapshot.entries.iter().map(|entry| entry.revision).chain(config)
}

/// An id whose entry says the same in both, but is not the same `Arc`, or holds another `Arc` of the same instance.
fn not_shared<'a>(old: &'a Entries<Instance>, new: &'a Entries<Instance>) -> Option<&'a str> {
    new.iter().find_map(|new| {
        let old = old.get(new.id()).filter(|old| old.revision == new.revision)?;
        let same = (old.state, old.over) == (new.state, new.over);
        let shared = if same { Arc::ptr_eq(old, new) } else { Arc::ptr_eq(&old.instance, &new.instance) };
        (!shared).then(|| new.instance.id())
    })
}

/// The ids of a snapshot, in order.
pub(super) fn ids(snapshot: &Snapshot<Instance>) -> Vec<&str> {
    snapshot.entries.iter().map(|entry| entry.id()).collect()
}

/// The retries in the configuration, if there is one; tests tell configurations apart by it.
pub(super) fn retries(snapshot: &Snapshot<Instance>) -> Option<u32> {
    Some(snapshot.config.as_ref()?.config.max_retries())
}
