//! What stands behind an [`Announcement`](lb_core::registry::Announcement): [`Handle`].

use std::sync::Arc;

use async_trait::async_trait;
use lb_core::ServiceInstance;
use lb_core::registry::{AnnouncementKeeper, InstanceState, RegistryError, validate};

use super::announce::KeeperHandle;
use super::decide::Fate;
use super::kept::{Keeping, Kept};
use crate::client::EtcdError;
use crate::service_registry::unwritable;
use crate::store::Begin;

/// Owns the key of one announced instance, for as long as what is there is what it wrote.
pub(super) struct Handle<I: ServiceInstance> {
    keeper: KeeperHandle<I>,
    kept: Arc<Kept<I>>,
    /// It has left, or is being taken out.
    ended: bool,
}

impl<I: ServiceInstance> Handle<I> {
    pub(super) fn new(keeper: KeeperHandle<I>, kept: Arc<Kept<I>>) -> Self {
        Self { keeper, kept, ended: false }
    }

    fn keeping(&self) -> &Keeping<I> {
        &self.keeper.alive.keeping
    }

    fn service(&self) -> &str {
        &self.kept.name.0
    }

    fn refused(&self, problem: impl Into<String>) -> RegistryError {
        let (service, id) = &self.kept.name;
        RegistryError::InvalidInstance {
            service: (**service).into(),
            id: (**id).into(),
            problem: problem.into(),
        }
    }

    fn failed(&self, operation: &'static str, error: EtcdError) -> RegistryError {
        RegistryError::backend(operation, self.service(), error)
    }

    fn lost(&self, fate: Fate) -> RegistryError {
        if fate == Fate::TakenOver {
            return self
                .refused("somebody else has registered this id since; announce it again to take it back");
        }
        let (service, id) = &self.kept.name;
        RegistryError::UnknownInstance { service: (**service).into(), id: (**id).into() }
    }

    async fn seen(&self, revision: i64) {
        let catalog = &self.keeping().catalog;
        let (service, revision) = (self.service(), u64::try_from(revision).unwrap_or_default());
        if catalog.keeps(service) && catalog.freshness() == lb_core::registry::Freshness::Live {
            let wait = catalog.reached(service, revision);
            let _ = tokio::time::timeout(std::time::Duration::from_secs(2), wait).await;
        }
    }
}

#[async_trait]
impl<I: ServiceInstance> AnnouncementKeeper<I> for Handle<I> {
    async fn update(&mut self, instance: I) -> Result<(), RegistryError> {
        let keeping = self.keeping();
        let (service, id) = (self.service(), &*self.kept.name.1);
        validate::instance(service, instance.id())?;
        if instance.id() != id {
            return Err(self.refused(format!(
                "an update cannot change the id to {:?}; announce that instance on its own",
                instance.id()
            )));
        }
        let mut written = self.kept.written.lock().await;
        if !keeping.is_current(&self.kept) {
            drop(written);
            return Err(self.whose());
        }
        let mut record = written.record.clone();
        record.instance = Arc::new(instance);
        record.generation = record.generation.map(lb_core::registry::shared::Generation::next);
        let value =
            keeping.codec.encode(service, &record).map_err(|error| unwritable(service, id, &error))?;
        let (fate, revision) = keeping
            .write(&self.kept, &written.value, "update", Begin::Read, |mine, found, again| {
                mine.update(&value, found, again)
            })
            .await
            .map_err(|error| self.failed("update", error))?;
        match fate {
            Fate::There | Fate::Restored => {
                written.value = value;
                written.record = record;
            }
            Fate::TakenOut | Fate::TakenOver | Fate::Gone => {
                keeping.forget(&self.kept);
                return Err(self.lost(fate));
            }
        }
        drop(written);
        self.seen(revision).await;
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), RegistryError> {
        let keeping = self.keeping();
        let mut written = self.kept.written.lock().await;
        if !keeping.is_current(&self.kept) {
            return Ok(());
        }
        let record = written.record.clone().with_state(InstanceState::Draining);
        let (service, id) = (self.service(), &*self.kept.name.1);
        let value =
            keeping.codec.encode(service, &record).map_err(|error| unwritable(service, id, &error))?;
        let (_, revision) = keeping
            .write(&self.kept, &written.value, "drain", Begin::Read, |mine, found, _| {
                mine.drain(&value, found)
            })
            .await
            .map_err(|error| self.failed("drain", error))?;
        written.value = value;
        written.record = record;
        drop(written);
        self.seen(revision).await;
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), RegistryError> {
        let keeping = self.keeping();
        let revision = keeping.take_out(&self.kept).await.map_err(|error| self.failed("remove", error))?;
        self.seen(revision).await;
        self.ended = true;
        Ok(())
    }

    fn abandon(&mut self) {
        // Dropping does it.
    }
}

impl<I: ServiceInstance> Handle<I> {
    /// Why the instance is not this announcement's any more.
    fn whose(&self) -> RegistryError {
        let keeping = self.keeping();
        let (service, id) = &self.kept.name;
        let known = keeping.catalog.latest(service).entries.get(id).is_some();
        self.lost(if known { Fate::TakenOver } else { Fate::TakenOut })
    }
}

impl<I: ServiceInstance> Drop for Handle<I> {
    fn drop(&mut self) {
        if !self.ended {
            self.keeping().abandon(Arc::clone(&self.kept));
        }
    }
}

impl<I: ServiceInstance> Keeping<I> {
    /// Deletes the key, if it is still this announcement's.
    pub(super) async fn take_out(&self, kept: &Arc<Kept<I>>) -> Result<i64, EtcdError> {
        let written = kept.written.lock().await;
        if !self.is_current(kept) {
            return Ok(0);
        }
        if self.lease.known().is_none() {
            // What lived on the lease is gone, or will be without our doing.
            self.forget(kept);
            return Ok(0);
        }
        let drained =
            written.record.state == InstanceState::Draining && is_told(&*self.codec, kept, &written);
        let (fate, revision) = self
            .write(kept, &written.value, "remove", Begin::Read, |mine, found, _| mine.remove(drained, found))
            .await?;
        self.forget(kept);
        if fate == Fate::Gone && !drained {
            self.clear_mark(kept).await;
        }
        Ok(revision)
    }

    /// The mark has been seen by who was there; for who was not, the key is simply not there.
    async fn clear_mark(&self, kept: &Kept<I>) {
        let (service, id) = &kept.name;
        let keys = [self.store.keys.removed(service, id)];
        let decide = |found: &[Option<crate::watch::Kv>], _: bool| match found[0] {
            Some(_) => {
                crate::store::Decision::Write(vec![crate::store::Op::Delete { key: keys[0].clone() }], ())
            }
            None => crate::store::Decision::Leave(()),
        };
        // It goes with the lease in any case.
        let _ = self.store.edit("remove", &keys, Begin::Read, decide).await;
    }
}

/// Whether the value says that the instance drains: not every format can.
fn is_told<I: ServiceInstance>(
    codec: &dyn lb_core::registry::shared::Codec<I>,
    kept: &Kept<I>,
    written: &super::kept::Written<I>,
) -> bool {
    codec
        .decode(&kept.name.0, &kept.name.1, &written.value)
        .is_ok_and(|record| record.state == InstanceState::Draining)
}
