//! Doing what the keeper decides: [`Announcements`].

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use lb_core::ServiceInstance;
use lb_core::registry::shared::{
    Action, Announced, AnnouncementStore, Answer, Catalog, Codec, Record, Step, Ticket,
};
use lb_core::registry::{InstanceState, RegistryError};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::decide::{Fate, Place};
use super::heartbeat::Heartbeat;
use super::own::Own;
use crate::client::{EtcdError, EtcdErrorKind};
use crate::registry::Tasks;
use crate::service_registry::unwritable;
use crate::store::{Begin, Decision, Op, Store};
use crate::watch::Kv;

/// How many keys are written at a time.
const AT_A_TIME: usize = 32;
/// How long a write waits until this process has seen it itself. It is done in any case.
const SEEN: Duration = Duration::from_secs(1);

/// Carries out in etcd what the keeper of announcements decides.
pub(crate) struct Announcements<I: ServiceInstance> {
    pub(crate) store: Arc<Store>,
    pub(crate) codec: Arc<dyn Codec<I>>,
    pub(crate) catalog: Catalog<I>,
    pub(crate) own: Arc<Own<I>>,
    pub(crate) ttl: Duration,
    /// What follows etcd; gone with the last handle on the registry.
    pub(crate) following: Weak<Tasks>,
    heartbeat: Mutex<Heartbeat>,
}

impl<I: ServiceInstance> Announcements<I> {
    pub(crate) fn new(
        store: Arc<Store>,
        codec: Arc<dyn Codec<I>>,
        catalog: Catalog<I>,
        own: Arc<Own<I>>,
        ttl: Duration,
        following: Weak<Tasks>,
    ) -> Self {
        let heartbeat = Mutex::new(Heartbeat::new(ttl));
        Self { store, codec, catalog, own, ttl, following, heartbeat }
    }

    async fn one(&self, action: Action<I>) -> Answer {
        match action {
            Action::Grant => self.grant().await,
            Action::KeepAlive { lease } => {
                match self.heartbeat.lock().await.beat(&self.store.pool, signed(lease)).await {
                    Ok(()) => Answer::DONE,
                    Err(error) => answer("keep alive", "", error),
                }
            }
            Action::Put { of, record, takes_over } => self.put(&of, &record, takes_over).await,
            Action::Delete(of) => self.delete(&of).await,
            Action::Revoke { lease } => {
                // Where this fails, the time-to-live does it.
                let lease = signed(lease);
                let revoke = |conn: crate::client::Conn| async move { conn.lease().revoke(lease).await };
                if let Err(error) = self.store.pool.anywhere("revoke the lease", revoke).await {
                    tracing::debug!(%error, "the lease is left to run out");
                }
                Answer::DONE
            }
            // With one lease for all, no key is kept alive on its own.
            _ => Answer::DONE,
        }
    }

    async fn grant(&self) -> Answer {
        let seconds = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let grant = |conn: crate::client::Conn| async move { conn.lease().grant(seconds, None).await };
        match self.store.pool.anywhere("grant a lease", grant).await {
            Ok(granted) => {
                let (lease, ttl) = (granted.value.id(), granted.value.ttl());
                tracing::info!(lease = format_args!("{lease:x}"), ttl, "etcd has granted a lease");
                let ttl = Duration::from_secs(u64::try_from(ttl).unwrap_or(0)).max(Duration::from_secs(1));
                Answer::Granted { lease: lease.cast_unsigned(), ttl }
            }
            Err(error) => answer("announce", "", error),
        }
    }

    /// Whether what is under the key was written by this announcement.
    fn is_mine(&self, of: &Announced, kv: &Kv) -> bool {
        let lease = Some(kv.lease.cast_unsigned());
        match self.codec.decode(&of.service, &of.id, &kv.value) {
            Ok(Record { generation: Some(generation), .. }) => generation.owner() == of.generation.owner(),
            // A format that does not say.
            Ok(_) => kv.lease != 0 && (lease == of.lease || lease == of.former_lease),
            Err(_) => false,
        }
    }

    async fn put(&self, of: &Announced, record: &Record<I>, takes_over: bool) -> Answer {
        let (service, id) = (&of.service, &of.id);
        let value = match self.codec.encode(service, record) {
            Ok(value) => value,
            Err(error) => return Answer::Failed(unwritable(service, id, &error)),
        };
        let lease = signed(of.lease.unwrap_or(0));
        let keys = [self.store.keys.instance(service, id), self.store.keys.removed(service, id)];
        let place = Place { key: &keys[0], mark: &keys[1], is_mine: &|kv| self.is_mine(of, kv) };
        self.own.insert(service, id, of.generation);
        let begin = if takes_over { Begin::Absent } else { Begin::Read };
        let edit = self.store.edit("announce", &keys, begin, |found, again| {
            place.put(&value, lease, takes_over, found, again)
        });
        let answer = match edit.await {
            Ok(written) => match written.outcome {
                Fate::Done => {
                    self.seen(service, written.revision).await;
                    return done(written.revision);
                }
                Fate::TakenOver => Answer::Taken,
                Fate::TakenOut | Fate::Gone => Answer::Deregistered,
            },
            Err(error) => return answer("announce", service, error),
        };
        tracing::info!(service = &**service, id = &**id, ?answer, "no longer announced");
        self.own.remove(service, id, of.generation);
        answer
    }

    async fn delete(&self, of: &Announced) -> Answer {
        let (service, id) = (&of.service, &of.id);
        let keys = [self.store.keys.instance(service, id), self.store.keys.removed(service, id)];
        let place = Place { key: &keys[0], mark: &keys[1], is_mine: &|kv| self.is_mine(of, kv) };
        let drained = |kv: &Kv| {
            let record = self.codec.decode(service, id, &kv.value);
            record.is_ok_and(|record| record.state == InstanceState::Draining)
        };
        self.own.remove(service, id, of.generation);
        let edit = self.store.edit("remove", &keys, Begin::Read, |found, _| place.delete(drained, found));
        match edit.await {
            Ok(written) => match written.outcome {
                Fate::Done => {
                    self.seen(service, written.revision).await;
                    self.clear_mark(&keys[1]).await;
                    done(written.revision)
                }
                Fate::TakenOver => Answer::Taken,
                Fate::TakenOut | Fate::Gone => Answer::Lost,
            },
            // What lived on a lease that is lost is gone with it.
            Err(error) if error.kind() == EtcdErrorKind::LeaseNotFound => Answer::Lost,
            Err(error) => answer("remove", service, error),
        }
    }

    /// The mark has been seen by who was there; for who was not, the key is simply not there. It goes with the lease in
    /// any case.
    async fn clear_mark(&self, mark: &str) {
        let keys = [mark.to_owned()];
        let decide = |found: &[Option<Kv>], _: bool| match found[0] {
            Some(_) => Decision::Write(vec![Op::Delete { key: mark.into() }], ()),
            None => Decision::Leave(()),
        };
        let _ = self.store.edit("remove", &keys, Begin::Read, decide).await;
    }

    /// Waits until the catalog has what was written, so that who writes can read it.
    async fn seen(&self, service: &str, revision: i64) {
        if self.following.strong_count() > 0 && self.catalog.keeps(service) {
            let revision = u64::try_from(revision).unwrap_or_default();
            let _ = timeout(SEEN, self.catalog.reached(service, revision)).await;
        }
    }
}

#[async_trait]
impl<I: ServiceInstance> AnnouncementStore<I> for Announcements<I> {
    async fn perform(&self, steps: Vec<Step<I>>) -> Vec<(Ticket, Answer)> {
        // Nothing may keep the next sign of life waiting for too long.
        let limit = self.store.pool.settings.request.min(self.ttl / 3);
        let each = |Step { ticket, action, .. }: Step<I>| async move {
            let answer = timeout(limit, self.one(action)).await;
            let slow = || Answer::Failed(failed("announce", "", EtcdError::timeout("announce", "", limit)));
            (ticket, answer.unwrap_or_else(|_| slow()))
        };
        // The lease is asked about first, and beside everything else.
        stream::iter(steps).map(each).buffer_unordered(AT_A_TIME).collect().await
    }
}

const fn signed(lease: u64) -> i64 {
    lease.cast_signed()
}

fn done(revision: i64) -> Answer {
    Answer::Done { revision: u64::try_from(revision).unwrap_or_default() }
}

fn failed(operation: &'static str, service: &str, error: EtcdError) -> RegistryError {
    RegistryError::backend(operation, service, error)
}

fn answer(operation: &'static str, service: &str, error: EtcdError) -> Answer {
    if error.kind() == EtcdErrorKind::LeaseNotFound {
        tracing::warn!(%error, "etcd has lost the lease");
        return Answer::Lost;
    }
    Answer::Failed(failed(operation, service, error))
}
