//! What a listing has, so that the rest is known to be missing: [`Seen`].

use std::collections::HashSet;
use std::sync::Arc;

use super::change::{ChangeKind, Key};
use crate::instance::ServiceInstance;

/// What a listing contains.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) instances: HashSet<Arc<str>>,
    pub(super) overrides: HashSet<Arc<str>>,
    pub(super) config: bool,
    pub(super) unreadable: HashSet<Key>,
}

impl Seen {
    pub(super) fn note<I: ServiceInstance>(&mut self, kind: &ChangeKind<I>) {
        match kind {
            ChangeKind::Instance(record) => drop(self.instances.insert(Arc::from(record.instance.id()))),
            ChangeKind::Config(_) => self.config = true,
            ChangeKind::Override { id, .. } => drop(self.overrides.insert(Arc::clone(id))),
            ChangeKind::Unreadable { key, .. } => {
                match key {
                    Key::Instance(id) => drop(self.instances.insert(Arc::clone(id))),
                    Key::Override(id) => drop(self.overrides.insert(Arc::clone(id))),
                    Key::Config => self.config = true,
                }
                self.unreadable.insert(key.clone());
            }
            ChangeKind::NoInstance { .. } | ChangeKind::NoConfig | ChangeKind::NoOverride { .. } => {}
        }
    }
}
