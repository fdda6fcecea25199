//! Watches that show something else than what there is.

use std::sync::Arc;
use std::time::SystemTime;

use lb_core::Instance;
use lb_core::registry::{Entry, Freshness, Publisher, Revision, Snapshot, SnapshotWatch};

use super::Fault;

/// The watch `listening`, with each snapshot altered by `alter`; where that is `None`, it is not shown. `source` is
/// another watch on the same service.
pub(super) fn altered(
    mut listening: SnapshotWatch<Instance>,
    source: SnapshotWatch<Instance>,
    alter: impl Fn(&Arc<Snapshot<Instance>>) -> Option<Arc<Snapshot<Instance>>> + Send + Sync + 'static,
) -> SnapshotWatch<Instance> {
    let first = source.current();
    let publisher = Arc::new(Publisher::new(Snapshot::clone(&alter(&first).unwrap_or(first))));
    let target = Arc::clone(&publisher);
    listening.on_apply(move || {
        if let Some(snapshot) = alter(&source.current()) {
            target.publish(snapshot);
        }
    });
    publisher.watch().keeping((listening, publisher))
}

/// What a watch of a registry with this fault shows for a snapshot.
pub(super) fn alteration(
    fault: Fault,
    first: &Snapshot<Instance>,
) -> impl Fn(&Arc<Snapshot<Instance>>) -> Option<Arc<Snapshot<Instance>>> + Send + Sync + 'static {
    let (known, from) = (first.is_known(), first.revision);
    move |snapshot| {
        let mut shown = Snapshot::clone(snapshot);
        match fault {
            Fault::CopiesEntries => {
                shown.entries = snapshot.entries.iter().map(|entry| Arc::new(Entry::clone(entry))).collect();
            }
            Fault::CopiesInstances => shown.entries = snapshot.entries.iter().map(copied).collect(),
            Fault::StopsRevisions if snapshot.is_known() => shown.revision = Revision::new(1_000),
            Fault::CriesWolf => shown.freshness = Freshness::Stale { since: SystemTime::UNIX_EPOCH },
            Fault::FreezesWatches if snapshot.revision != from => return None,
            Fault::IgnoresUnknown if !known && snapshot.is_known() => return None,
            Fault::SkipsTheLast if snapshot.entries.is_empty() && snapshot.revision != from => return None,
            _ => return Some(Arc::clone(snapshot)),
        }
        Some(Arc::new(shown))
    }
}

fn copied(entry: &Arc<Entry<Instance>>) -> Arc<Entry<Instance>> {
    if entry.over == lb_core::registry::Override::NONE {
        return Arc::clone(entry);
    }
    let copy = Entry::new(Instance::clone(&entry.instance), entry.revision);
    Arc::new(copy.with_state(entry.state).with_override(entry.over))
}
