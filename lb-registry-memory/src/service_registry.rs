//! [`MemoryRegistry`] as a [`ServiceRegistry`].

use std::sync::Arc;

use async_trait::async_trait;
use lb_core::registry::{
    Announcement, ConfigEntry, Entry, Override, RegistryError, Revision, Snapshot, SnapshotWatch, validate,
};
use lb_core::{ServiceConfig, ServiceInstance, ServiceRegistry};

use crate::keeper::Keeper;
use crate::registry::MemoryRegistry;

impl<I: ServiceInstance> MemoryRegistry<I> {
    /// Writes an instance under its id; what is laid over the id stays.
    fn put(&self, service: &str, instance: &Arc<I>) -> Result<Revision, RegistryError> {
        validate::service(service)?;
        validate::instance(service, instance.id())?;
        let written = self.services.write(service, |snapshot, revision| {
            put(snapshot, instance, revision);
            Ok(Some(revision))
        })?;
        Ok(written.unwrap_or_default())
    }

    fn put_config(
        &self,
        service: &str,
        expected: Option<Revision>,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::config(service, &config)?;
        self.services.write(service, |snapshot, revision| {
            let actual = snapshot.config.as_ref().map_or(Revision::NONE, |entry| entry.revision);
            if let Some(expected) = expected
                && expected != actual
            {
                return Err(RegistryError::Conflict { service: service.into(), expected, actual });
            }
            snapshot.config = Some(Arc::new(ConfigEntry::new(config, revision)));
            Ok(Some(()))
        })?;
        Ok(())
    }

    fn read(&self, service: &str) -> Result<Arc<Snapshot<I>>, RegistryError> {
        validate::service(service)?;
        Ok(self.services.latest(service))
    }
}

/// Puts an instance, written at `revision`, into a snapshot. What is laid over its id stays.
pub(crate) fn put<I: ServiceInstance>(snapshot: &mut Snapshot<I>, instance: &Arc<I>, revision: Revision) {
    let over = snapshot.entries.get(instance.id()).map_or(Override::NONE, |entry| entry.over);
    snapshot.entries.insert(Arc::new(Entry::new(Arc::clone(instance), revision).with_override(over)));
}

#[async_trait]
impl<I: ServiceInstance> ServiceRegistry<I> for MemoryRegistry<I> {
    async fn register(&self, service: &str, instance: I) -> Result<(), RegistryError> {
        self.put(service, &Arc::new(instance)).map(drop)
    }

    async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError> {
        let instance = Arc::new(instance);
        let written = self.put(service, &instance)?;
        let keeper = Keeper::new(Arc::clone(&self.services), service, instance.id(), written);
        Ok(Announcement::new(instance.id(), keeper))
    }

    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        let removed = self.services.write(service, |snapshot, _| Ok(snapshot.entries.remove(id)))?;
        Ok(removed.is_some())
    }

    async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError> {
        validate::service(service)?;
        self.services.write(service, |snapshot, _| match snapshot.entries.get(id) {
            None => Err(RegistryError::UnknownInstance { service: service.into(), id: id.into() }),
            Some(entry) if entry.over == over => Ok(None),
            Some(entry) => {
                let entry = Entry::clone(entry).with_override(over);
                Ok(snapshot.entries.insert(Arc::new(entry)))
            }
        })?;
        Ok(())
    }

    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
        self.put_config(service, None, config)
    }

    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        self.put_config(service, Some(expected), config)
    }

    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        let removed = self.services.write(service, |snapshot, _| Ok(snapshot.config.take()))?;
        Ok(removed.is_some())
    }

    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.services.known())
    }

    async fn watch(&self, service: &str) -> Result<SnapshotWatch<I>, RegistryError> {
        validate::service(service)?;
        Ok(self.services.watch(service))
    }

    async fn instances(&self, service: &str) -> Result<Vec<Arc<Entry<I>>>, RegistryError> {
        Ok(self.read(service)?.entries.iter().cloned().collect())
    }

    async fn config(&self, service: &str) -> Result<Option<Arc<ConfigEntry>>, RegistryError> {
        Ok(self.read(service)?.config.clone())
    }
}
