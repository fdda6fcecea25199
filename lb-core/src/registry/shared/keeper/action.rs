//! What a keeper wants done, and what it is told: [`Step`] and [`Answer`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::machine::KeptId;
use crate::instance::ServiceInstance;
use crate::registry::error::RegistryError;
use crate::registry::shared::record::{Generation, Record};

/// Names one step, so that its answer finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// One thing that is to be done in the store. Steps that were asked for together may be carried out at once, in any
/// order; each needs an [`Answer`].
pub struct Step<I> {
    /// What to answer to.
    pub ticket: Ticket,
    /// What to do.
    pub action: Action<I>,
}

/// Which announcement a step is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// The service.
    pub service: Arc<str>,
    /// The instance's id.
    pub id: Arc<str>,
    /// Which write of it; [`Generation::owner`] says whose the key is.
    pub generation: Generation,
    /// The lease that it belongs to, with [`Leases::Shared`](super::Leases::Shared).
    pub lease: Option<u64>,
    /// The lease under which it was written before, if that was another one.
    pub former_lease: Option<u64>,
}

/// What is to be done.
#[non_exhaustive]
pub enum Action<I> {
    /// Get a lease. Answers: [`Granted`](Answer::Granted), [`Failed`](Answer::Failed).
    Grant,
    /// Keep the lease alive. Answers: [`Done`](Answer::Done); [`Lost`](Answer::Lost): the store does not know it;
    /// `Failed`: anything else, the lease may well be alive.
    KeepAlive {
        /// The lease.
        lease: u64,
    },
    /// Keep one announcement alive. Answers: `Done`; `Lost`: it is not there; [`Taken`](Answer::Taken); `Failed`.
    Beat(Announced),
    /// Write an instance. Answers: `Done`; `Lost`: the store does not know the lease; `Taken`, never if `takes_over`;
    /// [`Deregistered`](Answer::Deregistered), if the store can tell; `Failed`: it may have been written, or be later.
    Put {
        /// Which announcement.
        of: Announced,
        /// What to write; its state may be draining.
        record: Record<I>,
        /// Whether the id is taken over from whoever has it: the first write of an announcement. Else it is written
        /// only if the key is not there, or is this owner's.
        takes_over: bool,
    },
    /// Delete an instance if it is this owner's. Answers: `Done`, `Lost` or `Taken`: it is not there any more; `Failed`.
    Delete(Announced),
    /// Give the lease back: nothing is announced any more. Any answer will do.
    Revoke {
        /// The lease.
        lease: u64,
    },
}

/// What became of a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// It was done, at this revision of the store (0 if it does not say).
    Done {
        /// The store's revision of the write.
        revision: u64,
    },
    /// A lease was granted.
    Granted {
        /// The lease.
        lease: u64,
        /// How long it lives without a sign of life; the store may have chosen it.
        ttl: Duration,
    },
    /// What was to be kept alive, or written under, is not there.
    Lost,
    /// The key is somebody else's.
    Taken,
    /// Somebody took the instance out on purpose.
    Deregistered,
    /// The store failed, did not answer in time, or refused.
    Failed(RegistryError),
}

impl Answer {
    /// Done, where no revision matters.
    pub const DONE: Self = Self::Done { revision: 0 };
}

/// Something that was seen in the store, by the way: by the registry's own watch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// The service.
    pub service: Arc<str>,
    /// The instance's id.
    pub id: Arc<str>,
    /// The store's revision of what was seen; a hint that is older than our own last write is passed over. `u64::MAX`
    /// where the store's history went back, so that revisions say nothing.
    pub revision: u64,
    /// What was seen.
    pub kind: HintKind,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HintKind {
    /// The key is not there. It is written again.
    Gone,
    /// The key is somebody else's. It is left to them.
    Taken,
    /// Somebody took the instance out on purpose. It stays out.
    Deregistered,
}

impl Hint {
    /// Something was seen of the instance `id`.
    pub fn new(service: impl Into<Arc<str>>, id: impl Into<Arc<str>>, revision: u64, kind: HintKind) -> Self {
        Self { service: service.into(), id: id.into(), revision, kind }
    }
}

/// What has become of an announcement, for who waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// What was wanted is in the store.
    Written(KeptId),
    /// It could not be done yet, and goes on being tried.
    Failed(KeptId, RegistryError),
    /// The id is somebody else's now.
    Taken(KeptId),
    /// Somebody took the instance out.
    Deregistered(KeptId),
    /// It is not in the store any more, as was wanted, or is somebody else's. The id means nothing from now on.
    Left(KeptId),
}

impl<I: ServiceInstance> fmt::Debug for Action<I> {
    /// Prints ids, and no instance: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant => f.write_str("Grant"),
            Self::KeepAlive { lease } => f.debug_struct("KeepAlive").field("lease", lease).finish(),
            Self::Beat(of) => f.debug_tuple("Beat").field(of).finish(),
            Self::Put { of, record, takes_over } => f
                .debug_struct("Put")
                .field("of", of)
                .field("record", record)
                .field("takes_over", takes_over)
                .finish(),
            Self::Delete(of) => f.debug_tuple("Delete").field(of).finish(),
            Self::Revoke { lease } => f.debug_struct("Revoke").field("lease", lease).finish(),
        }
    }
}

impl<I: ServiceInstance> fmt::Debug for Step<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("ticket", &self.ticket).field("action", &self.action).finish()
    }
}
