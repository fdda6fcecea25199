//! Announcing: [`KeeperHandle`].

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Generation, Record};
use lb_core::registry::{Announcement, RegistryError};

use super::decide::Mine;
use super::handle::Handle;
use super::kept::{Keeping, Kept, Written};
use crate::client::{EtcdError, EtcdErrorKind};
use crate::registry::Tasks;
use crate::service_registry::unwritable;
use crate::store::{Begin, Decision};
use crate::watch::Kv;

/// How often a lease may be lost while one writes.
pub(super) const LEASES: usize = 3;

/// Who has one, directly or through an announcement, keeps the registry's tasks running.
pub(crate) struct KeeperHandle<I: ServiceInstance> {
    pub(super) alive: Arc<Alive<I>>,
}

impl<I: ServiceInstance> Clone for KeeperHandle<I> {
    fn clone(&self) -> Self {
        Self { alive: Arc::clone(&self.alive) }
    }
}

pub(super) struct Alive<I: ServiceInstance> {
    pub(super) keeping: Arc<Keeping<I>>,
    tasks: OnceLock<Mutex<Tasks>>,
}

impl<I: ServiceInstance> Drop for Alive<I> {
    fn drop(&mut self) {
        self.keeping.close();
    }
}

impl<I: ServiceInstance> KeeperHandle<I> {
    pub(crate) fn new(keeping: Arc<Keeping<I>>) -> Self {
        Self { alive: Arc::new(Alive { keeping, tasks: OnceLock::new() }) }
    }

    /// These end with the last handle.
    pub(crate) fn own(&self, tasks: Tasks) {
        let mutex = self.alive.tasks.get_or_init(Mutex::default);
        mutex.lock().unwrap_or_else(PoisonError::into_inner).0.extend(tasks.take());
    }

    /// Announces an instance; also returns the store's revision at which it is there.
    pub(crate) async fn announce(
        &self,
        service: &str,
        instance: I,
    ) -> Result<(Announcement<I>, i64), RegistryError> {
        let keeping = &self.alive.keeping;
        let record = Record::new(instance, Generation::new(&*keeping.random));
        let id: Arc<str> = Arc::from(record.instance.id());
        let value =
            keeping.codec.encode(service, &record).map_err(|error| unwritable(service, &id, &error))?;
        let written = tokio::sync::Mutex::new(Written { record, value });
        let kept = Arc::new(Kept { name: (Arc::from(service), Arc::clone(&id)), written });
        // From here on, whatever ends this call early takes the instance out again.
        let handle = Handle::new(self.clone(), Arc::clone(&kept));
        // Held until it is written, so that nobody tends to it before.
        let written = kept.written.lock().await;
        keeping.insert(&kept);
        let revision = keeping
            .write(&kept, &written.value, "announce", Begin::Absent, |mine, found, again| {
                mine.announce(found, again)
            })
            .await
            .map_err(|error| RegistryError::backend("announce", service, error))?
            .1;
        drop(written);
        Ok((Announcement::new(&*id, handle), revision))
    }
}

impl<I: ServiceInstance> Keeping<I> {
    /// Writes the key of an announcement as `decide` says, on the lease of the process. `value` is what it holds so far.
    pub(super) async fn write<T>(
        &self,
        kept: &Kept<I>,
        value: &[u8],
        operation: &'static str,
        begin: Begin,
        decide: impl Fn(&Mine<'_>, &[Option<Kv>], bool) -> Decision<T>,
    ) -> Result<(T, i64), EtcdError> {
        let (service, id) = &kept.name;
        let keys = [self.store.keys.instance(service, id), self.store.keys.removed(service, id)];
        let mut tries = 0;
        loop {
            let lease = self.lease.get(&self.store.pool).await?;
            let mine = Mine { key: &keys[0], mark: &keys[1], value, lease };
            let edit = self.store.edit(operation, &keys, begin, |found, again| decide(&mine, found, again));
            match edit.await {
                Ok(written) => return Ok((written.outcome, written.revision)),
                Err(error) if error.kind() == EtcdErrorKind::LeaseNotFound && tries < LEASES => {
                    tries += 1;
                    if self.lease.lose(lease).await {
                        self.doubt_all();
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
