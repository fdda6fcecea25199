//! What is registered: [`Registry`].

use std::collections::BTreeMap;
use std::sync::Arc;

use lb_core::registry::{Entries, Entry, InstanceState, Revision, Snapshot};

use crate::scenario::{Scenario, SimHost};

/// What the registry holds, and held.
#[derive(Clone)]
pub(super) struct Registry {
    pub(super) entries: BTreeMap<u32, Arc<Entry<SimHost>>>,
    revision: u64,
    /// Snapshots that not all clients have seen yet.
    pub(super) snapshots: Vec<Arc<Snapshot<SimHost>>>,
}

impl Registry {
    /// With those who are there from the start.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut registry = Self { entries: BTreeMap::new(), revision: 0, snapshots: Vec::new() };
        for (index, host) in scenario.hosts.iter().enumerate() {
            if host.joins.is_none() {
                registry.put(index as u32, &host.instance, InstanceState::Ready);
            }
        }
        registry.publish();
        registry
    }

    pub(super) fn put(&mut self, host: u32, instance: &Arc<SimHost>, state: InstanceState) {
        let revision = Revision::new(self.revision + 1);
        let entry = Entry::new(Arc::clone(instance), revision).with_state(state);
        self.entries.insert(host, Arc::new(entry));
    }

    pub(super) fn publish(&mut self) -> u32 {
        self.revision += 1;
        let entries: Entries<_> = self.entries.values().cloned().collect();
        self.snapshots.push(Arc::new(Snapshot::new(entries, None, Revision::new(self.revision))));
        self.snapshots.len() as u32 - 1
    }
}
