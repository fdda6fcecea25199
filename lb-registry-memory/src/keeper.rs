//! What stands behind an [`Announcement`](lb_core::registry::Announcement): [`Keeper`].

use std::sync::Arc;

use async_trait::async_trait;
use lb_core::ServiceInstance;
use lb_core::registry::{
    AnnouncementKeeper, Entry, InstanceState, RegistryError, Revision, Snapshot, validate,
};

use crate::service_registry::put;
use crate::services::Services;

/// Owns the entry under its id for as long as that is the one it wrote. The revision tells: no two writes have the
/// same, and neither an override nor a change of state gives an instance a new one.
pub(crate) struct Keeper<I> {
    services: Arc<Services<I>>,
    service: String,
    id: String,
    written: Revision,
}

impl<I: ServiceInstance> Keeper<I> {
    pub(crate) fn new(services: Arc<Services<I>>, service: &str, id: &str, written: Revision) -> Self {
        Self { services, service: service.into(), id: id.into(), written }
    }

    fn own<'a>(&self, snapshot: &'a Snapshot<I>) -> Option<&'a Arc<Entry<I>>> {
        snapshot.entries.get(&self.id).filter(|entry| entry.revision == self.written)
    }

    /// Why the entry is not this keeper's any more.
    fn lost(&self, snapshot: &Snapshot<I>) -> RegistryError {
        if snapshot.entries.get(&self.id).is_none() {
            RegistryError::UnknownInstance { service: self.service.clone(), id: self.id.clone() }
        } else {
            self.refused("somebody else has registered this id since; announce it again to take it back")
        }
    }

    fn refused(&self, problem: impl Into<String>) -> RegistryError {
        let problem = problem.into();
        RegistryError::InvalidInstance { service: self.service.clone(), id: self.id.clone(), problem }
    }

    fn take_out(&self) -> Result<(), RegistryError> {
        self.services.write(&self.service, |snapshot, _| match self.own(snapshot) {
            Some(_) => Ok(snapshot.entries.remove(&self.id)),
            None => Ok(None),
        })?;
        Ok(())
    }
}

#[async_trait]
impl<I: ServiceInstance> AnnouncementKeeper<I> for Keeper<I> {
    async fn update(&mut self, instance: I) -> Result<(), RegistryError> {
        let instance = Arc::new(instance);
        validate::instance(&self.service, instance.id())?;
        if instance.id() != self.id {
            return Err(self.refused(format!(
                "an update cannot change the id to {:?}; announce that instance on its own",
                instance.id()
            )));
        }
        let written = self.services.write(&self.service, |snapshot, revision| {
            if self.own(snapshot).is_none() {
                return Err(self.lost(snapshot));
            }
            put(snapshot, &instance, revision);
            Ok(Some(revision))
        })?;
        self.written = written.unwrap_or(self.written);
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), RegistryError> {
        self.services.write(&self.service, |snapshot, _| match self.own(snapshot) {
            Some(entry) => {
                let entry = Entry::clone(entry).with_state(InstanceState::Draining);
                Ok(snapshot.entries.insert(Arc::new(entry)))
            }
            None => Ok(None),
        })?;
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), RegistryError> {
        self.take_out()
    }

    fn abandon(&mut self) {
        // Taking out refuses nothing, and there would be nobody to tell.
        let _ = self.take_out();
    }
}
