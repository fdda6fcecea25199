//! What all handles on a registry share: [`Core`].

use std::sync::Arc;
use std::time::Duration;

use lb_core::registry::shared::{Announcer, Catalog, Codec, Generation, Record};
use lb_core::registry::{RegistryError, Revision};
use lb_core::{RandomSource, ServiceInstance};
use redis::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::connection::{ConnectionError, LONG, Link};
use crate::keys::{Namespace, ServiceKeys};
use crate::scripts::{Answer, Call, DEREGISTER, Lua, REGISTER, TOUCH, pair, single};
use crate::watch::{Follow, to_store};

/// How long it is remembered that an instance was taken out on purpose.
const REMEMBER_REMOVALS: Duration = Duration::from_secs(3600);
/// How long what an operator laid over an instance outlives the instance.
pub(crate) const KEEP_OVERRIDES: Duration = Duration::from_secs(24 * 3600);

/// Writes to Redis. Shared by the registry and whoever keeps its announcements.
pub(crate) struct Writer<I> {
    pub(crate) link: Link,
    pub(crate) namespace: Namespace,
    pub(crate) codec: Arc<dyn Codec<I>>,
    pub(crate) random: Arc<dyn RandomSource>,
}

/// Which writes are to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Whoever has the id.
    Any,
    /// Only if it is the owner's, or is not there though nobody took it out.
    Restore,
}

impl<I: ServiceInstance> Writer<I> {
    /// A script on a service, with what all of these take first.
    pub(crate) fn call(&self, script: &'static Lua, keys: &ServiceKeys) -> Call {
        Call::new(script, keys.for_scripts())
            .arg(keys.channel())
            .arg(format!("{:016x}", self.random.next_u64()))
    }

    /// Notes in the index that a service is written to, and writes to it.
    pub(crate) async fn write(
        &self,
        service: &str,
        operation: &'static str,
        call: Call,
    ) -> Result<Value, RegistryError> {
        let touch = Call::new(&TOUCH, [self.namespace.services()]).arg(service);
        let (touched, written) = tokio::join!(self.link.call(&touch), self.link.call(&call));
        let failed = |error| RegistryError::backend(operation, service, error);
        let written = written.map_err(failed)?;
        // A write that the index does not know of is tried again as a whole: all of them can be repeated.
        touched.map_err(failed)?;
        Ok(written)
    }

    /// Writes an instance, to expire after `ttl` unless it beats; `None`: to stay.
    pub(crate) async fn put(
        &self,
        service: &str,
        record: &Record<I>,
        generation: Generation,
        ttl: Option<Duration>,
        mode: Mode,
    ) -> Result<(Answer, Revision), RegistryError> {
        let id = record.instance.id();
        let refused = |error: lb_core::registry::shared::CodecError| RegistryError::InvalidInstance {
            service: service.into(),
            id: id.into(),
            problem: error.to_string(),
        };
        let value = self.codec.encode(service, record).map_err(refused)?;
        let call = self
            .call(&REGISTER, &self.namespace.service(service))
            .arg(id)
            .arg(to_store(generation, &value))
            .number(ttl.map_or(0, |ttl| ttl.as_millis() as u64))
            .arg(generation.owner_text())
            .arg(match mode {
                Mode::Any => "any",
                Mode::Restore => "restore",
            });
        let answer = self.write(service, "register", call).await?;
        pair(&answer).ok_or_else(|| unexpected("register", service))
    }

    /// Takes an instance out. With an owner: only theirs, and what lies over it stays for a day.
    pub(crate) async fn remove(
        &self,
        service: &str,
        id: &str,
        owner: Option<Generation>,
    ) -> Result<Answer, RegistryError> {
        let keep = if owner.is_some() { KEEP_OVERRIDES } else { Duration::ZERO };
        let call = self
            .call(&DEREGISTER, &self.namespace.service(service))
            .arg(id)
            .arg(owner.map_or_else(String::new, Generation::owner_text))
            .number(REMEMBER_REMOVALS.as_millis() as u64)
            .number(keep.as_millis() as u64);
        let answer = self
            .link
            .call(&call)
            .await
            .map_err(|error| RegistryError::backend("deregister", service, error))?;
        single(&answer).ok_or_else(|| unexpected("deregister", service))
    }
}

pub(crate) fn unexpected(operation: &'static str, service: &str) -> RegistryError {
    RegistryError::backend(operation, service, ConnectionError::Unexpected { operation })
}

/// What all handles on a registry share. The tasks end when the last one is dropped.
pub(crate) struct Core<I> {
    pub(crate) writer: Arc<Writer<I>>,
    pub(crate) catalog: Catalog<I>,
    pub(crate) follow: mpsc::UnboundedSender<Follow>,
    pub(crate) announcer: Announcer<I>,
    /// How long the first look at a service may take.
    pub(crate) first_look: Duration,
}

impl<I: ServiceInstance> Core<I> {
    /// Has a service kept up to date; returns when it is known, or after `first_look`, ten commands later if a large
    /// service is on its way, or at once if nobody needs to wait. Whether it is known.
    pub(crate) async fn look(&self, service: &str, at_once: bool) -> Result<bool, RegistryError> {
        let (known, mut waiting) = oneshot::channel();
        self.follow.send(Follow::Service(service.into(), known)).map_err(|_| RegistryError::Closed)?;
        if at_once {
            return Ok(false);
        }
        let link = &self.writer.link;
        match timeout(self.first_look, &mut waiting).await {
            Err(_) if link.waits_for_long_answers() => {
                Ok(matches!(timeout(link.dial().timeouts.command * LONG, waiting).await, Ok(Ok(()))))
            }
            looked => Ok(matches!(looked, Ok(Ok(())))),
        }
    }

    /// Waits until a watch in this process sees a write of its own, if there is one. A write is done whether or not it
    /// is seen, so this does not wait for long. Who looks later sees it in any case.
    pub(crate) async fn seen(&self, service: &str, revision: Revision) {
        let _ = self.follow.send(Follow::Wrote(service.into(), revision.get()));
        if self.catalog.applied(service) > 0 {
            let bound = Duration::from_millis(100);
            let _ = timeout(bound, self.catalog.reached(service, revision.get())).await;
        }
    }
}
