//! A registry as simple as it can be, to compare with: [`Model`].

use std::collections::BTreeMap;

use lb_core::registry::{Override, Snapshot};
use lb_core::{Instance, ServiceConfig};

/// An instance, as the model holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) instance: Instance,
    pub(crate) over: Override,
    /// The number of the step that wrote the instance.
    pub(crate) written: u32,
}

/// A service, as the model holds it. The configuration comes with the number of the step that wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) instances: BTreeMap<String, Row>,
    pub(crate) config: Option<(ServiceConfig, u32)>,
}

/// All services, known or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model(pub(crate) BTreeMap<String, Rows>);

impl Model {
    pub(crate) fn service(&mut self, service: &str) -> &mut Rows {
        self.0.entry(service.into()).or_default()
    }

    pub(crate) fn known(&self) -> Vec<String> {
        let known = self.0.iter().filter(|(_, rows)| !rows.instances.is_empty() || rows.config.is_some());
        known.map(|(name, _)| name.clone()).collect()
    }
}

impl Rows {
    /// Writes an instance; what is laid over its id stays.
    pub(crate) fn put(&mut self, instance: Instance, written: u32) {
        let over = self.instances.get(&instance.id).map_or(Override::NONE, |row| row.over);
        self.instances.insert(instance.id.clone(), Row { instance, over, written });
    }

    /// Whether a snapshot says the same.
    pub(crate) fn agrees(&self, snapshot: &Snapshot<Instance>) -> bool {
        let instances = self.instances.values().map(|row| (&row.instance, row.over));
        let entries = snapshot.entries.iter().map(|entry| (&*entry.instance, entry.over));
        let config = self.config.as_ref().map(|(config, _)| config);
        instances.eq(entries) && config == snapshot.config.as_ref().map(|entry| &entry.config)
    }
}
