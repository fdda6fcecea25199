//! What the watch loop of a registry tells its catalog: [`Change`] and [`Listing`].

use std::fmt;
use std::sync::Arc;

use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;
use crate::registry::entry::Override;
use crate::registry::shared::codec::CodecError;
use crate::registry::shared::record::Record;

/// What a key of a service stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Key {
    /// The instance of that id.
    Instance(Arc<str>),
    /// The configuration.
    Config,
    /// What an operator laid over the instance of that id.
    Override(Arc<str>),
}

/// One key of the store was written, or is gone.
///
/// ```
/// use lb_core::registry::shared::{Change, Generation, Record};
/// use lb_core::{Instance, ThreadRandom};
///
/// let record = Record::new(Instance::new("cart-1"), Generation::new(&ThreadRandom));
/// let put = Change::instance("cart", 41, record);
/// let gone = Change::<Instance>::vanished("cart", 42, "cart-1");
/// assert!(put.revision < gone.revision);
/// ```
#[non_exhaustive]
pub struct Change<I> {
    /// The service.
    pub service: Arc<str>,
    /// The store's revision of this write: never smaller than that of a change before.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind<I>,
}

/// What happened to a key.
#[non_exhaustive]
pub enum ChangeKind<I> {
    /// An instance was written, by its owner.
    Instance(Record<I>),
    /// An instance is not there any more.
    NoInstance {
        /// Which.
        id: Arc<str>,
        /// Whether somebody took it out, as far as the store tells. If its last word was that it drains, it counts as
        /// taken out in any case.
        explicit: bool,
    },
    /// The configuration was written.
    Config(Box<ServiceConfig>),
    /// There is no configuration any more.
    NoConfig,
    /// An operator laid something over an instance, which need not be there.
    Override {
        /// Over which.
        id: Arc<str>,
        /// What.
        over: Override,
    },
    /// Nothing is laid over an instance any more.
    NoOverride {
        /// Over which.
        id: Arc<str>,
    },
    /// A key was written with a value that cannot be read. What was known of it before stays in force.
    Unreadable {
        /// Which key.
        key: Key,
        /// Why it cannot be read.
        error: CodecError,
    },
}

impl<I> Change<I> {
    /// Something happened to a key of `service`, in the write `revision`.
    pub fn new(service: impl Into<Arc<str>>, revision: u64, kind: ChangeKind<I>) -> Self {
        Self { service: service.into(), revision, kind }
    }

    /// An instance was written.
    pub fn instance(service: impl Into<Arc<str>>, revision: u64, record: Record<I>) -> Self {
        Self::new(service, revision, ChangeKind::Instance(record))
    }

    /// An instance was taken out by somebody.
    pub fn removed(service: impl Into<Arc<str>>, revision: u64, id: impl Into<Arc<str>>) -> Self {
        Self::new(service, revision, ChangeKind::NoInstance { id: id.into(), explicit: true })
    }

    /// An instance is gone, for all one knows because its lease ran out.
    pub fn vanished(service: impl Into<Arc<str>>, revision: u64, id: impl Into<Arc<str>>) -> Self {
        Self::new(service, revision, ChangeKind::NoInstance { id: id.into(), explicit: false })
    }

    /// The configuration was written, or taken away.
    pub fn config(service: impl Into<Arc<str>>, revision: u64, config: Option<ServiceConfig>) -> Self {
        Self::new(
            service,
            revision,
            config.map_or(ChangeKind::NoConfig, |config| ChangeKind::Config(Box::new(config))),
        )
    }

    /// An operator laid something over an instance, or took it away ([`Override::NONE`]).
    pub fn over(
        service: impl Into<Arc<str>>,
        revision: u64,
        id: impl Into<Arc<str>>,
        over: Override,
    ) -> Self {
        let id = id.into();
        let kind = if over == Override::NONE {
            ChangeKind::NoOverride { id }
        } else {
            ChangeKind::Override { id, over }
        };
        Self::new(service, revision, kind)
    }

    /// A key was written with a value that cannot be read.
    pub fn unreadable(service: impl Into<Arc<str>>, revision: u64, key: Key, error: CodecError) -> Self {
        Self::new(service, revision, ChangeKind::Unreadable { key, error })
    }
}

impl<I: ServiceInstance> fmt::Debug for ChangeKind<I> {
    /// Prints ids, states and revisions, and no instance: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(record) => f.debug_tuple("Instance").field(record).finish(),
            Self::NoInstance { id, explicit } => {
                f.debug_struct("NoInstance").field("id", id).field("explicit", explicit).finish()
            }
            Self::Config(_) => f.write_str("Config"),
            Self::NoConfig => f.write_str("NoConfig"),
            Self::Override { id, over } => {
                f.debug_struct("Override").field("id", id).field("over", over).finish()
            }
            Self::NoOverride { id } => f.debug_struct("NoOverride").field("id", id).finish(),
            Self::Unreadable { key, error } => {
                f.debug_struct("Unreadable").field("key", key).field("error", error).finish()
            }
        }
    }
}

impl<I: ServiceInstance> fmt::Debug for Change<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("service", &self.service)
            .field("revision", &self.revision)
            .field("kind", &self.kind)
            .finish()
    }
}

/// Everything that the store holds, of all services or of one, as it was at one revision.
///
/// ```
/// use lb_core::registry::shared::{Change, Generation, Listing, Record};
/// use lb_core::{Instance, ThreadRandom};
///
/// let record = Record::new(Instance::new("cart-1"), Generation::new(&ThreadRandom));
/// let listing = Listing::new(42, [Change::instance("cart", 41, record)]).in_epoch("cluster 7");
/// assert_eq!(listing.items.len(), 1);
/// ```
#[non_exhaustive]
pub struct Listing<I> {
    /// The store's revision at which this was the truth.
    pub revision: u64,
    /// Which history that revision counts in, if the store can tell: etcd's cluster id, Redis's replication id. Another
    /// epoch than the one before starts the counting anew.
    pub epoch: Option<Arc<str>>,
    /// Whether the caller has made sure that the store's history went back: it was wiped, or restored from a copy.
    /// Without it a listing of a smaller revision is one that came too late, and is not taken over.
    pub rewound: bool,
    /// What is there, each with the revision at which it was written. What says that something is not there is passed
    /// over.
    pub items: Vec<Change<I>>,
}

impl<I> Listing<I> {
    /// What the store held at `revision`.
    pub fn new(revision: u64, items: impl IntoIterator<Item = Change<I>>) -> Self {
        Self { revision, epoch: None, rewound: false, items: items.into_iter().collect() }
    }

    /// In which history the revision counts.
    #[must_use]
    pub fn in_epoch(mut self, epoch: impl Into<Arc<str>>) -> Self {
        self.epoch = Some(epoch.into());
        self
    }

    /// The store's history went back.
    #[must_use]
    pub const fn rewound(mut self) -> Self {
        self.rewound = true;
        self
    }
}

impl<I: ServiceInstance> fmt::Debug for Listing<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("revision", &self.revision)
            .field("epoch", &self.epoch)
            .field("rewound", &self.rewound)
            .field("items", &self.items)
            .finish()
    }
}

/// What became of a listing that was handed to a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reset {
    /// It is what the catalog knows now.
    Applied,
    /// The catalog knows more already: the listing is older than changes that were applied. List again, or, if the
    /// store's history went back, say so ([`Listing::rewound`]).
    Outdated,
}
