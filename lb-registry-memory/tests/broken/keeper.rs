//! A keeper of announcements with a fault.

use async_trait::async_trait;
use lb_core::registry::{AnnouncementKeeper, RegistryError, Revision};
use lb_core::{Instance, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;

use super::Fault;
use crate::ready::now;

/// Keeps an announcement by the registry's ordinary methods. It cannot drain (which is a fault of its own).
pub(super) struct BadKeeper {
    pub(super) registry: MemoryRegistry<Instance>,
    pub(super) service: String,
    pub(super) id: String,
    pub(super) written: Revision,
    pub(super) fault: Fault,
}

impl BadKeeper {
    /// Whether this fault is one of keepers; all others leave announcements alone.
    pub(super) fn has(fault: Fault) -> bool {
        matches!(
            fault,
            Fault::DropLosesSuccessor
                | Fault::LeaveLosesSuccessor
                | Fault::UpdatesSuccessor
                | Fault::NeverTakesOut
                | Fault::SpawnsOnDrop
                | Fault::LetsAnnouncementsLapse
                | Fault::UpdatesAnyId
                | Fault::LeavesWithoutDraining
        )
    }

    async fn owns(&self) -> bool {
        let entries = self.registry.instances(&self.service).await.unwrap_or_default();
        entries.iter().any(|entry| entry.id() == self.id && entry.revision == self.written)
    }
}

#[async_trait]
impl AnnouncementKeeper<Instance> for BadKeeper {
    async fn update(&mut self, instance: Instance) -> Result<(), RegistryError> {
        if self.fault != Fault::UpdatesAnyId && instance.id != self.id {
            let (service, id) = (self.service.clone(), self.id.clone());
            return Err(RegistryError::InvalidInstance { service, id, problem: "the id differs".into() });
        }
        if self.fault != Fault::UpdatesSuccessor && !self.owns().await {
            let (service, id) = (self.service.clone(), self.id.clone());
            return Err(RegistryError::UnknownInstance { service, id });
        }
        self.registry.register(&self.service, instance).await?;
        let entries = self.registry.instances(&self.service).await?;
        self.written =
            entries.iter().find(|entry| entry.id() == self.id).map_or(self.written, |e| e.revision);
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), RegistryError> {
        if self.fault == Fault::LeaveLosesSuccessor || self.owns().await {
            self.registry.deregister(&self.service, &self.id).await?;
        }
        Ok(())
    }

    fn abandon(&mut self) {
        let owns = now(self.owns());
        let (registry, service, id) = (self.registry.clone(), self.service.clone(), self.id.clone());
        match self.fault {
            Fault::NeverTakesOut => {}
            Fault::SpawnsOnDrop if owns => {
                tokio::spawn(async move { registry.deregister(&service, &id).await });
            }
            Fault::DropLosesSuccessor => drop(now(registry.deregister(&service, &id))),
            _ if owns => drop(now(registry.deregister(&service, &id))),
            _ => {}
        }
    }
}
