//! What a catalog knows, as a value that can be stored: [`Image`].

use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;

use super::change::{Change, ChangeKind};
use super::service_state::Known;
use crate::instance::ServiceInstance;
use crate::registry::entry::Override;
use crate::registry::shared::record::Record;
use crate::registry::snapshot::{Freshness, Snapshot};

/// What a catalog knew at one moment, shared with it: taking one is O(services), whatever they hold.
/// [`image`](Self::image) does the work, on another thread.
pub struct Export<I> {
    pub(super) offset: u64,
    pub(super) revision: u64,
    pub(super) epoch: Option<Arc<str>>,
    pub(super) services: Vec<ServiceExport<I>>,
}

pub(super) struct ServiceExport<I> {
    pub(super) name: Arc<str>,
    pub(super) offset: u64,
    pub(super) revision: u64,
    pub(super) epoch: Option<Arc<str>>,
    pub(super) snapshot: Snapshot<I>,
    pub(super) known: OrdMap<Arc<str>, Known>,
    pub(super) overrides: OrdMap<Arc<str>, Override>,
}

/// What a catalog knew, as a value: what a disk cache holds.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image<C> {
    /// What was added to the store's revisions.
    pub offset: u64,
    /// The store's revision of the last change.
    pub revision: u64,
    /// Which history that counts in.
    pub epoch: Option<Arc<str>>,
    /// The services that have something.
    pub services: Vec<ServiceImage<C>>,
}

/// One service of an [`Image`]; `C` is what stands for one of its keys, such as a [`Change`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceImage<C> {
    /// Its name.
    pub name: Arc<str>,
    /// What was added to the revisions of this service.
    pub offset: u64,
    /// The store's revision of the last change to it.
    pub revision: u64,
    /// Which history that counts in.
    pub epoch: Option<Arc<str>>,
    /// Its keys.
    pub items: Vec<C>,
}

impl<C> Image<C> {
    /// An image without services.
    pub const fn new(offset: u64, revision: u64, epoch: Option<Arc<str>>) -> Self {
        Self { offset, revision, epoch, services: Vec::new() }
    }
}

impl<C> ServiceImage<C> {
    /// A service with these keys.
    pub const fn new(
        name: Arc<str>,
        offset: u64,
        revision: u64,
        epoch: Option<Arc<str>>,
        items: Vec<C>,
    ) -> Self {
        Self { name, offset, revision, epoch, items }
    }
}

impl<I: ServiceInstance> Export<I> {
    /// The value. O(instances).
    pub fn image(&self) -> Image<Change<I>> {
        Image {
            offset: self.offset,
            revision: self.revision,
            epoch: self.epoch.clone(),
            services: self.services.iter().map(ServiceExport::image).collect(),
        }
    }

    /// How far what was known could be trusted; an empty catalog is not known to be live.
    pub fn freshness(&self) -> Option<Freshness> {
        self.services.first().map(|service| service.snapshot.freshness)
    }
}

impl<I: ServiceInstance> ServiceExport<I> {
    fn image(&self) -> ServiceImage<Change<I>> {
        let change = |revision, kind| Change::new(Arc::clone(&self.name), revision, kind);
        let instances = self.snapshot.entries.iter().filter_map(|entry| {
            let known = self.known.get(entry.id())?;
            let record = Record {
                instance: Arc::clone(&entry.instance),
                state: entry.state,
                generation: known.generation,
            };
            Some(change(known.revision, ChangeKind::Instance(record)))
        });
        let overrides = self.overrides.iter().map(|(id, over)| {
            change(self.revision, ChangeKind::Override { id: Arc::clone(id), over: *over })
        });
        let config = self.snapshot.config.iter().map(|entry| {
            let revision = entry.revision.get().saturating_sub(self.offset);
            change(revision, ChangeKind::Config(Box::new(entry.config.clone())))
        });
        let items = instances.chain(overrides).chain(config).collect();
        ServiceImage {
            name: Arc::clone(&self.name),
            offset: self.offset,
            revision: self.revision,
            epoch: self.epoch.clone(),
            items,
        }
    }
}

impl<I> fmt::Debug for Export<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("revision", &self.revision)
            .field("services", &self.services.len())
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Image<C> {
    /// Prints numbers, and no instance: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("revision", &self.revision)
            .field("epoch", &self.epoch)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for ServiceImage<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceImage")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}
