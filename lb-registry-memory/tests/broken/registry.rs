//! A registry with a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lb_core::registry::{Announcement, Override, RegistryError, Revision, SnapshotWatch};
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;

use super::Fault;
use super::keeper::BadKeeper;
use super::snapshots::{alteration, altered};

/// A sound registry, made to break one rule.
pub(crate) struct Broken {
    inner: MemoryRegistry<Instance>,
    fault: Fault,
    /// Services that somebody asked for.
    asked: Mutex<BTreeSet<String>>,
    /// What was laid over instances that are gone.
    left: Mutex<BTreeMap<(String, String), Override>>,
}

impl Broken {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { inner: MemoryRegistry::new(), fault, asked: Mutex::default(), left: Mutex::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// The name under which a service is stored.
    fn service(&self, service: &str) -> String {
        if self.is(Fault::FoldsCase) { service.to_lowercase() } else { service.into() }
    }

    fn checked(&self, service: &str) -> Result<(), RegistryError> {
        if self.is(Fault::RefusesLongNames) && service.len() > 200 {
            return Err(RegistryError::InvalidService { service: service.into(), problem: "it is too long" });
        }
        Ok(())
    }

    /// The instance as it is stored.
    fn stored(&self, mut instance: Instance) -> Instance {
        match self.fault {
            Fault::DropsMetadata => instance.metadata.clear(),
            Fault::EscapesHalf => instance.id = instance.id.replace('/', "%2F"),
            _ => {}
        }
        instance
    }

    fn forgiven(&self, result: Result<(), RegistryError>) -> Result<(), RegistryError> {
        match result {
            Err(RegistryError::InvalidInstance { .. }) if self.is(Fault::AcceptsBadIds) => Ok(()),
            Err(RegistryError::InvalidService { .. }) if self.is(Fault::AcceptsBadServices) => Ok(()),
            Err(RegistryError::UnknownInstance { .. }) if self.is(Fault::OverridesNothing) => Ok(()),
            result => result,
        }
    }

    async fn over(&self, service: &str, id: &str) -> Override {
        let entries = self.inner.instances(service).await.unwrap_or_default();
        entries.iter().find(|entry| entry.id() == id).map_or(Override::NONE, |entry| entry.over)
    }

    async fn rewrite_the_set(&self, service: &str, instance: Instance) -> Result<(), RegistryError> {
        let entries = self.inner.instances(service).await?;
        let mut all: Vec<Instance> = entries.iter().map(|entry| Instance::clone(&entry.instance)).collect();
        all.retain(|other| other.id != instance.id);
        all.push(instance);
        tokio::task::yield_now().await;
        self.inner.reconcile(service, all)
    }
}

#[async_trait]
impl ServiceRegistry<Instance> for Broken {
    async fn register(&self, service: &str, instance: Instance) -> Result<(), RegistryError> {
        self.checked(service)?;
        let (service, instance) = (self.service(service), self.stored(instance));
        let id = instance.id.clone();
        if self.is(Fault::RewritesTheSet) {
            return self.rewrite_the_set(&service, instance).await;
        }
        self.forgiven(self.inner.register(&service, instance).await)?;
        if self.is(Fault::ForgetsOverrides) {
            self.inner.set_override(&service, &id, Override::NONE).await?;
        }
        let left =
            self.left.lock().unwrap_or_else(PoisonError::into_inner).remove(&(service.clone(), id.clone()));
        if let Some(over) = left {
            self.inner.set_override(&service, &id, over).await?;
        }
        Ok(())
    }

    async fn announce(
        &self,
        service: &str,
        instance: Instance,
    ) -> Result<Announcement<Instance>, RegistryError> {
        self.checked(service)?;
        let (service, instance) = (self.service(service), self.stored(instance));
        if !BadKeeper::has(self.fault) {
            return self.inner.announce(&service, instance).await;
        }
        let (registry, fault, id) = (self.inner.clone(), self.fault, instance.id.clone());
        registry.register(&service, instance).await?;
        let entries = registry.instances(&service).await?;
        let written = entries.iter().find(|entry| entry.id() == id).map_or(Revision::NONE, |e| e.revision);
        if fault == Fault::LetsAnnouncementsLapse {
            let (registry, service, id) = (registry.clone(), service.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                registry.deregister(&service, &id).await
            });
        }
        Ok(Announcement::new(id.clone(), BadKeeper { registry, service, id, written, fault }))
    }

    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
        let service = self.service(service);
        let id = if self.is(Fault::EscapesHalf) { id.replace('/', "%2F") } else { id.into() };
        if self.is(Fault::KeepsOverrides) {
            let over = self.over(&service, &id).await;
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.insert((service.clone(), id.clone()), over);
        }
        if self.is(Fault::DeregistersByPrefix) {
            for entry in self.inner.instances(&service).await? {
                if entry.id() != id && entry.id().starts_with(&id) {
                    self.inner.deregister(&service, entry.id()).await?;
                }
            }
        }
        let was_there = self.inner.deregister(&service, &id).await?;
        if self.is(Fault::DropsConfigWithInstances) && self.inner.instances(&service).await?.is_empty() {
            self.inner.remove_config(&service).await?;
        }
        Ok(was_there || self.is(Fault::AlwaysWasThere))
    }

    async fn set_override(&self, service: &str, id: &str, mut over: Override) -> Result<(), RegistryError> {
        let service = self.service(service);
        let id = if self.is(Fault::EscapesHalf) { id.replace('/', "%2F") } else { id.into() };
        if self.is(Fault::MergesOverrides) {
            let former = self.over(&service, &id).await;
            over.weight = over.weight.or(former.weight);
            over.draining |= former.draining;
        }
        self.forgiven(self.inner.set_override(&service, &id, over).await)?;
        if self.is(Fault::OverridesByRegistering) {
            let entries = self.inner.instances(&service).await?;
            for entry in entries.iter().filter(|entry| entry.id() == id) {
                self.inner.register(&service, Instance::clone(&entry.instance)).await?;
            }
        }
        Ok(())
    }

    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
        self.checked(service)?;
        let config = if self.is(Fault::DropsUnknownFields) { without_unknown(&config) } else { config };
        self.forgiven(self.inner.set_config(&self.service(service), config).await)
    }

    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        self.checked(service)?;
        let service = &self.service(service);
        match self.fault {
            Fault::IgnoresExpected => self.inner.set_config(service, config).await,
            Fault::ComparesThenSets | Fault::ComparesThenSetsLater => {
                let found = self.inner.config(service).await?;
                let actual = found.map_or(Revision::NONE, |entry| entry.revision);
                if actual != expected {
                    return Err(RegistryError::Conflict { service: service.clone(), expected, actual });
                }
                tokio::task::yield_now().await;
                self.inner.set_config(service, config).await
            }
            Fault::HidesConflicts => {
                let result = self.inner.compare_and_set_config(service, expected, config).await;
                result.map_err(|error| match error {
                    RegistryError::Conflict { service, expected, .. } => {
                        RegistryError::Conflict { service, expected, actual: Revision::NONE }
                    }
                    error => error,
                })
            }
            _ => self.forgiven(self.inner.compare_and_set_config(service, expected, config).await),
        }
    }

    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        self.inner.remove_config(&self.service(service)).await
    }

    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        let mut services = self.inner.services().await?;
        if self.is(Fault::ListsWatched) {
            services.extend(self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
            services.sort();
            services.dedup();
        }
        if self.is(Fault::ListsUnsorted) {
            services.reverse();
        }
        if self.is(Fault::ListsInstancesOnly) {
            let mut with_instances = Vec::new();
            for service in services {
                if !self.inner.instances(&service).await?.is_empty() {
                    with_instances.push(service);
                }
            }
            return Ok(with_instances);
        }
        Ok(services)
    }

    async fn watch(&self, service: &str) -> Result<SnapshotWatch<Instance>, RegistryError> {
        let service = self.service(service);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(service.clone());
        let watch = self.inner.watch(&service).await?;
        let alter = alteration(self.fault, &watch.current());
        Ok(altered(watch, self.inner.watch(&service).await?, alter))
    }
}

fn without_unknown(config: &ServiceConfig) -> ServiceConfig {
    let unknown: Vec<String> = config.unknown_fields().map(str::to_owned).collect();
    let mut json = serde_json::to_value(config).unwrap();
    for field in unknown {
        json.as_object_mut().unwrap().remove(&field);
    }
    serde_json::from_value(json).unwrap()
}
