//! Which keys are this process's, so that what happens to them is told to the keeper: [`Own`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Announcer, Generation, Hint, HintKind};

type Name = (Arc<str>, Arc<str>);

/// The keys that this process has announced, by service and id, and the number of their owner.
pub(crate) struct Own<I> {
    owners: Mutex<HashMap<Name, u64>>,
    /// Gone when nobody has a handle on the registry any more.
    announcer: Mutex<Weak<Announcer<I>>>,
}

/// What was seen of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// It was written, by this generation if that is known.
    Written(Option<Generation>),
    /// It was deleted; because somebody wanted it so, if `explicit`.
    Deleted { explicit: bool },
}

impl<I> Default for Own<I> {
    fn default() -> Self {
        Self { owners: Mutex::default(), announcer: Mutex::new(Weak::new()) }
    }
}

impl<I> Own<I> {
    fn owners(&self) -> MutexGuard<'_, HashMap<Name, u64>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is one at all.
    pub(crate) fn any(&self) -> bool {
        !self.owners().is_empty()
    }

    /// Whether one of them belongs to that service.
    pub(crate) fn has(&self, service: &str) -> bool {
        self.owners().keys().any(|(own, _)| **own == *service)
    }

    pub(super) fn insert(&self, service: &Arc<str>, id: &Arc<str>, generation: Generation) {
        self.owners().insert((Arc::clone(service), Arc::clone(id)), generation.owner());
    }

    /// Forgets a key, if it is still that owner's.
    pub(super) fn remove(&self, service: &Arc<str>, id: &Arc<str>, generation: Generation) {
        let name = (Arc::clone(service), Arc::clone(id));
        let mut owners = self.owners();
        if owners.get(&name) == Some(&generation.owner()) {
            owners.remove(&name);
        }
    }
}

impl<I: ServiceInstance> Own<I> {
    pub(crate) fn tell(&self, announcer: &Arc<Announcer<I>>) {
        *self.announcer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(announcer);
    }

    fn hint(&self, hint: Hint) {
        let announcer = self.announcer.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(announcer) = announcer {
            announcer.hint(hint);
        }
    }

    /// The key of an instance was written or deleted at that revision.
    pub(crate) fn seen(&self, service: &Arc<str>, id: &Arc<str>, revision: u64, sight: Sight) {
        let owner = self.owners().get(&(Arc::clone(service), Arc::clone(id))).copied();
        let Some(owner) = owner else { return };
        let kind = match sight {
            Sight::Written(generation) if generation.is_none_or(|generation| generation.owner() == owner) => {
                return;
            }
            Sight::Written(_) => HintKind::Taken,
            Sight::Deleted { explicit: true } => HintKind::Deregistered,
            Sight::Deleted { explicit: false } => HintKind::Gone,
        };
        self.hint(Hint::new(Arc::clone(service), Arc::clone(id), revision, kind));
    }

    /// Everything was listed as of that revision, and `there` says what is in it: the others are missing.
    pub(crate) fn missing(&self, revision: u64, there: impl Fn(&Name) -> bool) {
        let missing: Vec<Name> = self.owners().keys().filter(|name| !there(name)).cloned().collect();
        for (service, id) in missing {
            self.hint(Hint::new(service, id, revision, HintKind::Gone));
        }
    }
}
