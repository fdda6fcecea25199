//! [`EtcdRegistry`] as a [`ServiceRegistry`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lb_core::registry::shared::{Change, CodecError, Generation, Record, encode_config, encode_override};
use lb_core::registry::{
    Announcement, ConfigEntry, Entry, InstanceState, Override, RegistryError, Revision, SnapshotWatch,
    validate,
};
use lb_core::{Clock, ServiceConfig, ServiceInstance, ServiceRegistry};
use tokio::time::timeout;

use crate::client::{EtcdError, EtcdErrorKind};
use crate::registry::EtcdRegistry;
use crate::store::{Begin, Decision, Op, Written};

/// How long a write waits until this process has seen it itself. It is done in any case.
const SEEN: Duration = Duration::from_secs(2);
/// How often taking out an instance is tried whose lease runs out meanwhile.
const LEASE_TRIES: u32 = 5;
const LEASE_PAUSE: Duration = Duration::from_millis(100);

/// Why a record cannot be written.
pub(crate) fn unwritable(service: &str, id: &str, error: &CodecError) -> RegistryError {
    RegistryError::InvalidInstance { service: service.into(), id: id.into(), problem: error.to_string() }
}

impl<I: ServiceInstance> EtcdRegistry<I> {
    /// Waits until the catalog has what was written, so that who writes can read it.
    async fn seen(&self, service: &str, revision: i64) {
        let inner = &self.inner;
        if inner.catalog.keeps(service) && inner.is_following() {
            let revision = u64::try_from(revision).unwrap_or_default();
            let _ = timeout(SEEN, inner.catalog.reached(service, revision)).await;
        }
    }

    async fn put_config(
        &self,
        operation: &'static str,
        service: &str,
        expected: Option<Revision>,
        config: &ServiceConfig,
    ) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::config(service, config)?;
        let inner = &self.inner;
        let failed = |error: EtcdError| RegistryError::backend(operation, service, error);
        let value =
            encode_config(config).map_err(|error| RegistryError::backend(operation, service, error))?;
        // `Some(None)`: a revision of a history that is lost, which nothing can be at.
        let wanted = expected.map(|revision| inner.catalog.to_store(service, revision));
        let key = inner.store.keys.config(service);
        let decide = |found: &[Option<crate::watch::Kv>], again: bool| {
            let actual = found[0].as_ref().map_or(0, |kv| kv.revision);
            let done = again && found[0].as_ref().is_some_and(|kv| kv.value == value);
            let as_expected = wanted.is_none_or(|wanted| wanted == u64::try_from(actual).ok());
            if done {
                Decision::Leave(Ok(()))
            } else if as_expected {
                Decision::Write(vec![Op::Put { key: key.clone(), value: value.clone(), lease: 0 }], Ok(()))
            } else {
                Decision::Leave(Err(actual))
            }
        };
        let keys = [key.clone()];
        let written = inner.store.edit(operation, &keys, Begin::Read, decide).await.map_err(failed)?;
        self.seen(service, written.revision).await;
        written.outcome.map_err(|actual| {
            let actual = inner.catalog.from_store(service, u64::try_from(actual).unwrap_or_default());
            RegistryError::Conflict {
                service: service.into(),
                expected: expected.unwrap_or_default(),
                actual,
            }
        })
    }

    /// Deletes an instance and what lies over it. If it lives on a lease, leaves a mark on the same lease, by which its
    /// owner knows that it is not to put it there again.
    async fn take_out(&self, service: &str, id: &str) -> Result<Written<bool>, EtcdError> {
        let keys = &self.inner.store.keys;
        let keys = [keys.instance(service, id), keys.over(service, id), keys.removed(service, id)];
        let decide = |found: &[Option<crate::watch::Kv>], again: bool| {
            let mut ops = Vec::new();
            if found[1].is_some() {
                ops.push(Op::Delete { key: keys[1].clone() });
            }
            let Some(kv) = &found[0] else {
                return if ops.is_empty() { Decision::Leave(again) } else { Decision::Write(ops, again) };
            };
            ops.push(Op::Delete { key: keys[0].clone() });
            if kv.lease != 0 {
                ops.push(Op::Put { key: keys[2].clone(), value: Vec::new(), lease: kv.lease });
            }
            Decision::Write(ops, true)
        };
        let mut tries = 0;
        loop {
            match self.inner.store.edit("deregister", &keys, Begin::Read, decide).await {
                Err(error) if error.kind() == EtcdErrorKind::LeaseNotFound && tries < LEASE_TRIES => {
                    tries += 1;
                    tokio::time::sleep(LEASE_PAUSE).await;
                }
                result => return result,
            }
        }
    }
}

#[async_trait]
impl<I: ServiceInstance> ServiceRegistry<I> for EtcdRegistry<I> {
    async fn register(&self, service: &str, instance: I) -> Result<(), RegistryError> {
        validate::service(service)?;
        validate::instance(service, instance.id())?;
        let inner = &self.inner;
        let record = Record::new(instance, Generation::new(&*inner.random));
        let id = record.instance.id();
        let value = inner.codec.encode(service, &record).map_err(|error| unwritable(service, id, &error))?;
        let keys = [inner.store.keys.instance(service, id), inner.store.keys.removed(service, id)];
        let decide = |found: &[Option<crate::watch::Kv>], again: bool| {
            if again && found[0].as_ref().is_some_and(|kv| kv.value == value && kv.lease == 0) {
                return Decision::Leave(());
            }
            let mut ops = vec![Op::Put { key: keys[0].clone(), value: value.clone(), lease: 0 }];
            if found[1].is_some() {
                ops.push(Op::Delete { key: keys[1].clone() });
            }
            Decision::Write(ops, ())
        };
        let written = inner
            .store
            .edit("register", &keys, Begin::Absent, decide)
            .await
            .map_err(|error| RegistryError::backend("register", service, error))?;
        self.seen(service, written.revision).await;
        Ok(())
    }

    async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError> {
        self.inner.announcer.announce(service, instance).await
    }

    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        if validate::instance(service, id).is_err() {
            return Ok(false);
        }
        let taken_out = self
            .take_out(service, id)
            .await
            .map_err(|error| RegistryError::backend("deregister", service, error))?;
        self.seen(service, taken_out.revision).await;
        // One that has vanished, and is only kept here for now, is not there to be deleted.
        let catalog = &self.inner.catalog;
        let suspect = |entry: &Arc<Entry<I>>| entry.state == InstanceState::Suspect;
        if catalog.latest(service).entries.get(id).is_some_and(suspect) {
            let removed = Change::removed(service, catalog.applied(service), id);
            catalog.apply([removed], self.inner.clock.now());
        }
        Ok(taken_out.outcome)
    }

    async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError> {
        validate::service(service)?;
        let unknown = || RegistryError::UnknownInstance { service: service.into(), id: id.into() };
        if validate::instance(service, id).is_err() {
            return Err(unknown());
        }
        let inner = &self.inner;
        let value =
            encode_override(&over).map_err(|error| RegistryError::backend("override", service, error))?;
        let keys = [inner.store.keys.instance(service, id), inner.store.keys.over(service, id)];
        let decide = |found: &[Option<crate::watch::Kv>], _again: bool| {
            if found[0].is_none() {
                return Decision::Leave(false);
            }
            match &found[1] {
                None if over == Override::NONE => Decision::Leave(true),
                Some(kv) if kv.value == value => Decision::Leave(true),
                Some(_) if over == Override::NONE => {
                    Decision::Write(vec![Op::Delete { key: keys[1].clone() }], true)
                }
                _ => {
                    let put = Op::Put { key: keys[1].clone(), value: value.clone(), lease: 0 };
                    Decision::Write(vec![put], true)
                }
            }
        };
        let written = inner
            .store
            .edit("override", &keys, Begin::Read, decide)
            .await
            .map_err(|error| RegistryError::backend("override", service, error))?;
        if !written.outcome {
            return Err(unknown());
        }
        self.seen(service, written.revision).await;
        Ok(())
    }

    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
        self.put_config("configure", service, None, &config).await
    }

    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        self.put_config("configure", service, Some(expected), &config).await
    }

    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        validate::service(service)?;
        let keys = [self.inner.store.keys.config(service)];
        let decide = |found: &[Option<crate::watch::Kv>], again: bool| match found[0] {
            Some(_) => Decision::Write(vec![Op::Delete { key: keys[0].clone() }], true),
            None => Decision::Leave(again),
        };
        let removed = self
            .inner
            .store
            .edit("remove the configuration", &keys, Begin::Read, decide)
            .await
            .map_err(|error| RegistryError::backend("remove the configuration", service, error))?;
        self.seen(service, removed.revision).await;
        Ok(removed.outcome)
    }

    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.inner.catalog.services())
    }

    async fn watch(&self, service: &str) -> Result<SnapshotWatch<I>, RegistryError> {
        validate::service(service)?;
        Ok(self.inner.catalog.watch(service))
    }

    async fn instances(&self, service: &str) -> Result<Vec<Arc<Entry<I>>>, RegistryError> {
        validate::service(service)?;
        Ok(self.inner.catalog.latest(service).entries.iter().cloned().collect())
    }

    async fn config(&self, service: &str) -> Result<Option<Arc<ConfigEntry>>, RegistryError> {
        validate::service(service)?;
        Ok(self.inner.catalog.latest(service).config.clone())
    }
}
