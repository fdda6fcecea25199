//! What a registry knows of one service at one moment: [`Snapshot`].

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;

/// A point in a registry's history of one service. Grows with every write and is never used again, not even after
/// everything that was written is gone; otherwise opaque.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// Before the first write: what a thing that does not exist is at.
    pub const NONE: Self = Self(0);

    /// A revision by its number.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a snapshot can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// The registry is connected, and the snapshot is what it holds.
    #[default]
    Live,
    /// The registry cannot reach its store; the snapshot is the last one it had.
    Stale {
        /// Since when, by this machine's clock.
        since: SystemTime,
    },
    /// The snapshot was read from disk, because the store could not be reached at the start.
    ColdCache,
}

/// The configuration of a service, and when it was written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// The configuration.
    pub config: ServiceConfig,
    /// What [`compare_and_set_config`](super::ServiceRegistry::compare_and_set_config) expects.
    pub revision: Revision,
}

impl ConfigEntry {
    /// A configuration as written at `revision`.
    pub const fn new(config: ServiceConfig, revision: Revision) -> Self {
        Self { config, revision }
    }
}

/// The instances of a snapshot, ordered by id. A persistent map: cloning it is O(1), changing one entry of n costs
/// O(log n) and shares the rest, and the difference of two versions is found in O(changes · log n).
pub struct Entries<I>(OrdMap<Arc<str>, Arc<Entry<I>>>);

impl<I> Clone for Entries<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I> Default for Entries<I> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

/// One difference between two versions of [`Entries`].
#[non_exhaustive]
pub enum EntryChange<'a, I> {
    /// The id is new.
    Added(&'a Arc<Entry<I>>),
    /// The entry under the id is another one.
    Changed {
        /// What it was.
        old: &'a Arc<Entry<I>>,
        /// What it is.
        new: &'a Arc<Entry<I>>,
    },
    /// The id is gone.
    Removed(&'a Arc<Entry<I>>),
}

impl<I: ServiceInstance> Entries<I> {
    /// Puts an entry under its instance's id; returns the one that was there. O(log n).
    pub fn insert(&mut self, entry: Arc<Entry<I>>) -> Option<Arc<Entry<I>>> {
        self.0.insert(Arc::from(entry.id()), entry)
    }

    /// Like [`insert`](Self::insert), under a key that the caller has already.
    pub(crate) fn insert_at(&mut self, id: Arc<str>, entry: Arc<Entry<I>>) -> Option<Arc<Entry<I>>> {
        self.0.insert(id, entry)
    }

    /// Takes the entry of that id out. O(log n).
    pub fn remove(&mut self, id: &str) -> Option<Arc<Entry<I>>> {
        self.0.remove(id)
    }

    /// The entry of that id. O(log n).
    pub fn get(&self, id: &str) -> Option<&Arc<Entry<I>>> {
        self.0.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry<I>>> {
        self.0.values()
    }

    /// What has to be done to `self` to get `newer`. Parts that the two share are not visited.
    pub fn diff<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = EntryChange<'a, I>> {
        self.0.diff(&newer.0).filter_map(|item| match item {
            DiffItem::Add(_, entry) => Some(EntryChange::Added(entry)),
            DiffItem::Remove(_, entry) => Some(EntryChange::Removed(entry)),
            DiffItem::Update { old: (_, old), new: (_, new) } if !Arc::ptr_eq(old, new) => {
                Some(EntryChange::Changed { old, new })
            }
            DiffItem::Update { .. } => None,
        })
    }
}

impl<I: ServiceInstance> fmt::Debug for EntryChange<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(entry) => f.debug_tuple("Added").field(entry).finish(),
            Self::Changed { old, new } => {
                f.debug_struct("Changed").field("old", old).field("new", new).finish()
            }
            Self::Removed(entry) => f.debug_tuple("Removed").field(entry).finish(),
        }
    }
}

impl<I: ServiceInstance> fmt::Debug for Entries<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<I> PartialEq for Entry<I> {
    /// Two entries are equal if they are the same write: the same instance, revision, state and override.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.instance, &other.instance)
            && (self.revision, self.state, self.over) == (other.revision, other.state, other.over)
    }
}

impl<I: ServiceInstance> FromIterator<Arc<Entry<I>>> for Entries<I> {
    fn from_iter<T: IntoIterator<Item = Arc<Entry<I>>>>(entries: T) -> Self {
        Self(entries.into_iter().map(|entry| (Arc::from(entry.id()), entry)).collect())
    }
}

/// What a registry knows of one service at one moment. Immutable and shared; cloning is O(1).
#[non_exhaustive]
pub struct Snapshot<I> {
    /// The instances.
    pub entries: Entries<I>,
    /// The configuration, if one was set.
    pub config: Option<Arc<ConfigEntry>>,
    /// The last write that this snapshot contains, removals included; within one watch it never goes back.
    /// [`Revision::NONE`]: the registry has never heard of the service, or has forgotten it.
    pub revision: Revision,
    /// How far to trust it.
    pub freshness: Freshness,
    /// Entries in the store that could not be read and were left out.
    pub skipped: usize,
}

impl<I> Clone for Snapshot<I> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), config: self.config.clone(), ..*self }
    }
}

impl<I> Default for Snapshot<I> {
    /// The snapshot of a service that does not exist.
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            config: None,
            revision: Revision::NONE,
            freshness: Freshness::Live,
            skipped: 0,
        }
    }
}

impl<I: ServiceInstance> Snapshot<I> {
    /// A live snapshot of the given instances.
    pub fn new(entries: Entries<I>, config: Option<Arc<ConfigEntry>>, revision: Revision) -> Self {
        Self { entries, config, revision, freshness: Freshness::Live, skipped: 0 }
    }

    /// The same with another freshness.
    pub fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// The same, saying how many entries of the store were left out.
    pub fn with_skipped(mut self, skipped: usize) -> Self {
        self.skipped = skipped;
        self
    }

    /// Whether the registry has heard of the service: it has an instance or a configuration.
    pub fn is_known(&self) -> bool {
        !self.entries.is_empty() || self.config.is_some()
    }
}

impl<I: ServiceInstance> fmt::Debug for Snapshot<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("entries", &self.entries)
            .field("config", &self.config)
            .field("revision", &self.revision)
            .field("freshness", &self.freshness)
            .field("skipped", &self.skipped)
            .finish()
    }
}
