//! What is known of one service: [`ServiceState`]. Decisions only; nothing is published here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;
use std::sync::Arc;

use imbl::OrdMap;

use super::change::{Change, ChangeKind, Key};
use super::removal::{RemovalPolicy, Window};
use super::seen::Seen;
use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;
use crate::registry::entry::{Entry, InstanceState, Override};
use crate::registry::shared::codec::CodecError;
use crate::registry::shared::record::{Generation, Record};
use crate::registry::snapshot::{ConfigEntry, Entries, Freshness, Revision, Snapshot};
use crate::time::Time;

/// Which write of an instance the entry comes from. Kept while it is a suspect, too, so that it is known when it is
/// back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// The store's revision.
    pub(crate) revision: u64,
    pub(crate) generation: Option<Generation>,
}

/// What is known of one service.
pub(super) struct ServiceState<I> {
    entries: Entries<I>,
    known: OrdMap<Arc<str>, Known>,
    config: Option<Arc<ConfigEntry>>,
    overrides: OrdMap<Arc<str>, Override>,
    unreadable: BTreeMap<Key, u64>,
    suspects: BTreeMap<Arc<str>, Time>,
    window: Window,
    /// Entries that are ready and not drained, suspects not counted.
    usable: usize,
    /// What is added to the store's revisions, so that they never go back when the store's do.
    offset: u64,
    /// The store's revision of the last change that was taken over.
    applied: u64,
    epoch: Option<Arc<str>>,
    /// The revision of the snapshot.
    revision: Revision,
    /// Of the batch that is being taken over: whether there is something to publish, and who has vanished in it.
    dirty: bool,
    vanishing: BTreeSet<Arc<str>>,
    touched: BTreeSet<Arc<str>>,
    /// The entries as they were before the batch.
    before: Entries<I>,
}

fn is_usable<I>(entry: &Entry<I>) -> bool {
    entry.state == InstanceState::Ready && !entry.over.draining
}

impl<I: ServiceInstance> ServiceState<I> {
    pub(super) fn new(offset: u64) -> Self {
        Self {
            entries: Entries::default(),
            known: OrdMap::new(),
            config: None,
            overrides: OrdMap::new(),
            unreadable: BTreeMap::new(),
            suspects: BTreeMap::new(),
            window: Window::default(),
            usable: 0,
            offset,
            applied: 0,
            epoch: None,
            revision: Revision::NONE,
            dirty: false,
            vanishing: BTreeSet::new(),
            touched: BTreeSet::new(),
            before: Entries::default(),
        }
    }

    pub(super) fn snapshot(&self, freshness: Freshness) -> Snapshot<I> {
        Snapshot::new(self.entries.clone(), self.config.clone(), self.revision)
            .with_freshness(freshness)
            .with_skipped(self.unreadable.len())
    }

    /// Whether the service has an instance or a configuration.
    pub(super) fn is_known(&self) -> bool {
        !self.entries.is_empty() || self.config.is_some()
    }

    /// Whether there is nothing that must be remembered.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_known() && self.overrides.is_empty() && self.unreadable.is_empty()
    }

    pub(super) const fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) const fn epoch(&self) -> Option<&Arc<str>> {
        self.epoch.as_ref()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            instances: self.entries.len(),
            suspects: self.suspects.len(),
            skipped: self.unreadable.len(),
            overrides: self.overrides.len(),
        }
    }

    pub(super) const fn known(&self) -> &OrdMap<Arc<str>, Known> {
        &self.known
    }

    pub(super) const fn overrides(&self) -> &OrdMap<Arc<str>, Override> {
        &self.overrides
    }

    /// The public number of a revision of the store; see [`Catalog`](super::Catalog).
    pub(super) const fn public(&self, revision: u64) -> Revision {
        Revision::new(self.offset.saturating_add(revision))
    }

    /// When the next suspect is to be dropped.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.suspects.values().copied().min()
    }

    /// Takes one change over; the batch ends with [`settle`](Self::settle). `false`: it was known already.
    pub(super) fn apply(&mut self, change: Change<I>, service: &str) -> bool {
        if change.revision < self.applied {
            return false;
        }
        self.applied = change.revision;
        self.take(change, service, false);
        true
    }

    /// Makes `items`, which were the truth at `revision`, what is known; the batch ends with [`settle`](Self::settle).
    /// `offset`: what to add to revisions from here on, if the store's history is another one.
    pub(super) fn reset(
        &mut self,
        items: Vec<Change<I>>,
        revision: u64,
        epoch: Option<Arc<str>>,
        offset: Option<u64>,
        service: &str,
    ) {
        let rewound = offset.is_some();
        self.offset = offset.unwrap_or(self.offset);
        self.epoch = epoch;
        self.applied = revision;
        self.dirty |= rewound;

        if self.is_empty() {
            // Nobody can be missing.
            for item in items {
                self.take(item, service, rewound);
            }
            return;
        }
        let mut seen = Seen::default();
        for item in items {
            seen.note(&item.kind);
            self.take(item, service, rewound);
        }
        let missing = |seen: &HashSet<Arc<str>>, id: &Arc<str>| !seen.contains(id);
        let gone: Vec<_> = self.known.keys().filter(|id| missing(&seen.instances, id)).cloned().collect();
        for id in gone {
            self.gone(&id, false);
        }
        let gone: Vec<_> = self.overrides.keys().filter(|id| missing(&seen.overrides, id)).cloned().collect();
        for id in gone {
            self.lay_over(id, Override::NONE);
        }
        if !seen.config {
            self.no_config();
        }
        let before = self.unreadable.len();
        self.unreadable.retain(|key, _| seen.unreadable.contains(key));
        self.dirty |= self.unreadable.len() != before;
    }

    fn take(&mut self, change: Change<I>, service: &str, rewound: bool) {
        let Change { revision, kind, .. } = change;
        match kind {
            ChangeKind::Instance(record) => self.put(record, revision, rewound),
            ChangeKind::NoInstance { id, explicit } => {
                self.readable(&Key::Instance(Arc::clone(&id)));
                self.gone(&id, explicit);
            }
            ChangeKind::Config(config) => self.set_config(*config, revision),
            ChangeKind::NoConfig => {
                self.readable(&Key::Config);
                self.no_config();
            }
            ChangeKind::Override { id, over } => {
                self.readable(&Key::Override(Arc::clone(&id)));
                self.lay_over(id, over);
            }
            ChangeKind::NoOverride { id } => {
                self.readable(&Key::Override(Arc::clone(&id)));
                self.lay_over(id, Override::NONE);
            }
            ChangeKind::Unreadable { key, error } => self.unreadable(&key, revision, &error, service),
        }
    }

    fn put(&mut self, record: Record<I>, revision: u64, rewound: bool) {
        let id: Arc<str> = match self.known.get_key_value(record.instance.id()) {
            Some((id, _)) => Arc::clone(id),
            None => Arc::from(record.instance.id()),
        };
        self.readable(&Key::Instance(Arc::clone(&id)));
        self.vanishing.remove(&id);
        self.suspects.remove(&id);
        let state = match record.state {
            InstanceState::Suspect => InstanceState::Ready,
            state => state,
        };
        let known = Known { revision, generation: record.generation };
        let before = self.known.insert(Arc::clone(&id), known);
        let old = self.entries.get(&id);
        let entry = match (before, old) {
            (Some(before), Some(old)) if is_same(before, known, rewound) => {
                Entry::clone(old).with_state(state)
            }
            _ => Entry::new(record.instance, self.public(revision)).with_state(state),
        };
        let entry = entry.with_override(self.overrides.get(&id).copied().unwrap_or_default());
        self.dirty |= before.is_none_or(|before| before.revision != revision);
        if old.is_none_or(|old| **old != entry) {
            self.set(id, Some(entry));
        }
    }

    fn gone(&mut self, id: &Arc<str>, explicit: bool) {
        let Some(entry) = self.entries.get(id) else { return };
        if entry.state == InstanceState::Suspect && !explicit {
            return;
        }
        if explicit || !is_usable(entry) {
            self.forget(id);
        } else {
            self.vanishing.insert(Arc::clone(id));
        }
        self.dirty = true;
    }

    fn set_config(&mut self, config: ServiceConfig, revision: u64) {
        self.readable(&Key::Config);
        let revision = self.public(revision);
        if self.config.as_ref().is_some_and(|known| known.revision == revision) {
            return;
        }
        self.config = Some(Arc::new(ConfigEntry::new(config, revision)));
        self.dirty = true;
    }

    fn no_config(&mut self) {
        self.dirty |= self.config.take().is_some();
    }

    fn lay_over(&mut self, id: Arc<str>, over: Override) {
        if over == Override::NONE {
            self.overrides.remove(&id);
        } else {
            self.overrides.insert(Arc::clone(&id), over);
        }
        if let Some(entry) = self.entries.get(&id)
            && entry.over != over
        {
            let entry = Entry::clone(entry).with_override(over);
            self.set(id, Some(entry));
        }
    }

    /// What was known of the key before stays in force: an old address is better than none.
    fn unreadable(&mut self, key: &Key, revision: u64, error: &CodecError, service: &str) {
        if let Key::Instance(id) = key {
            self.vanishing.remove(id);
        }
        if self.unreadable.insert(key.clone(), revision) != Some(revision) {
            tracing::warn!(service, ?key, revision, %error, "a value in the registry is left out");
            self.dirty = true;
        }
    }

    fn readable(&mut self, key: &Key) {
        if !self.unreadable.is_empty() {
            self.dirty |= self.unreadable.remove(key).is_some();
        }
    }

    /// Ends a batch: decides what becomes of who has vanished in it. Suspects are kept for the grace from `since`, which
    /// is `now` unless the store cannot be reached. Whether there is something to publish.
    pub(super) fn settle(&mut self, policy: &RemovalPolicy, now: Time, since: Time) -> bool {
        let vanishing = mem::take(&mut self.vanishing);
        let keep = self.window.protects(policy, vanishing.len(), self.usable, now);
        for id in vanishing {
            match self.entries.get(&id) {
                Some(entry) if keep => {
                    let entry = Entry::clone(entry).with_state(InstanceState::Suspect);
                    self.set(Arc::clone(&id), Some(entry));
                    self.suspects.insert(id, since + policy.grace);
                }
                _ => self.forget(&id),
            }
        }
        self.share();
        let dirty = mem::take(&mut self.dirty);
        if dirty {
            self.revision = self.revision.max(self.public(self.applied));
        }
        dirty
    }

    /// What a batch has changed and changed back is what it was before.
    fn share(&mut self) {
        for id in mem::take(&mut self.touched) {
            if let (Some(before), Some(now)) = (self.before.get(&id), self.entries.get(&id))
                && before == now
                && !Arc::ptr_eq(before, now)
            {
                let before = Arc::clone(before);
                self.entries.insert_at(id, before);
            }
        }
        self.before = self.entries.clone();
    }

    /// Drops the suspects whose time is over. How many these were.
    pub(super) fn expire(&mut self, now: Time) -> usize {
        let over: Vec<_> =
            self.suspects.iter().filter(|(_, until)| **until <= now).map(|(id, _)| Arc::clone(id)).collect();
        for id in &over {
            self.forget(id);
        }
        over.len()
    }

    /// Gives the suspects more time: the store could not be reached, so none of them could come back.
    pub(super) fn postpone(&mut self, by: std::time::Duration) {
        for until in self.suspects.values_mut() {
            *until = *until + by;
        }
    }

    fn forget(&mut self, id: &Arc<str>) {
        self.known.remove(id);
        self.suspects.remove(id);
        self.set(Arc::clone(id), None);
    }

    fn set(&mut self, id: Arc<str>, entry: Option<Entry<I>>) {
        self.dirty = true;
        if !self.before.is_empty() {
            self.touched.insert(Arc::clone(&id));
        }
        self.usable += usize::from(entry.as_ref().is_some_and(is_usable));
        let before = match entry {
            Some(entry) => self.entries.insert_at(id, Arc::new(entry)),
            None => self.entries.remove(&id),
        };
        self.usable -= usize::from(before.is_some_and(|before| is_usable(&before)));
    }
}

/// Whether two records of one id are the same write of the instance.
fn is_same(before: Known, now: Known, rewound: bool) -> bool {
    match (before.generation, now.generation) {
        (Some(before), Some(now)) => before == now,
        (None, None) => !rewound && before.revision == now.revision,
        _ => false,
    }
}

/// Numbers for operators.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) instances: usize,
    pub(super) suspects: usize,
    pub(super) skipped: usize,
    pub(super) overrides: usize,
}
