//! The handle that users hold: [`EtcdRegistry`].

use std::fmt;
use std::sync::Arc;

use lb_core::registry::shared::{Announcer, Catalog, Codec, RegistryStatus, RuntimeClock};
use lb_core::{RandomSource, ServiceInstance};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::builder::EtcdRegistryBuilder;
use crate::client::EtcdError;
use crate::intake::Progress;
use crate::store::Store;

/// A registry in etcd, which all processes of a fleet share. Cloning it gives another handle on the same registry.
///
/// Reading never waits for etcd: one task follows everything under the registry's prefix, and
/// [`watch`](lb_core::ServiceRegistry::watch) gives views of what it knows. Whatever happens to etcd, the last thing that
/// was known stays in force, and [`status`](Self::status) and every snapshot say how far to trust it.
///
/// - A write resolves when etcd has it and this process has seen it: two round trips at most, about 2 ms. It tries all
///   members for at most the [`request_timeout`](EtcdRegistryBuilder::request_timeout).
/// - All announcements of a process live on one lease. If etcd loses it, or a key, or everything, they are written again,
///   for ever. Without the process they are gone after the [`ttl`](EtcdRegistryBuilder::ttl).
/// - What vanishes in a crowd is kept for a while as `Suspect`, and chosen last; see
///   [`removal`](EtcdRegistryBuilder::removal).
/// - Tasks run on the runtime on which it was connected. Following etcd ends with the last handle; watches keep their last
///   snapshot. Announcements outlive it: they are kept on their lease, but a key that somebody deletes is noticed only while
///   there is a handle.
///
/// ```no_run
/// use lb_core::{Instance, ServiceRegistry};
/// use lb_registry_etcd::EtcdRegistry;
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = EtcdRegistry::connect(["http://etcd-1:2379", "http://etcd-2:2379", "http://etcd-3:2379"]).await?;
/// let announcement = registry.announce("cart", Instance::new("cart-1").with_address("10.0.0.1:8080")).await?;
/// // … serve …
/// announcement.leave(std::time::Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
pub struct EtcdRegistry<I: ServiceInstance> {
    pub(crate) inner: Arc<Inner<I>>,
}

pub(crate) struct Inner<I: ServiceInstance> {
    pub(crate) catalog: Catalog<I>,
    pub(crate) store: Arc<Store>,
    pub(crate) codec: Arc<dyn Codec<I>>,
    pub(crate) clock: RuntimeClock,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) announcer: Arc<Announcer<I>>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) _tasks: Arc<Tasks>,
}

/// Tasks that end with the registry.
#[derive(Debug)]
pub(crate) struct Tasks(pub(crate) std::sync::OnceLock<Vec<AbortHandle>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in self.0.get().into_iter().flatten() {
            task.abort();
        }
    }
}

impl<I: ServiceInstance> Inner<I> {
    /// Whether what is written will be seen.
    pub(crate) fn is_following(&self) -> bool {
        self.progress.borrow().following
    }
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> EtcdRegistry<I> {
    /// Connects to etcd with the default settings; see [`builder`](Self::builder). Give all members of the cluster.
    ///
    /// # Errors
    ///
    /// An endpoint cannot be used, or none could be reached within five seconds.
    pub async fn connect<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Result<Self, EtcdError> {
        Self::builder(endpoints).connect().await
    }

    /// A registry of which something is to be different from the default.
    pub fn builder<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> EtcdRegistryBuilder<I> {
        EtcdRegistryBuilder::new(endpoints.into_iter().map(Into::into).collect())
    }
}

impl<I: ServiceInstance> EtcdRegistry<I> {
    /// Whether it is well, and what it has been through. Serialisable; holds no instance, and so no secret.
    pub fn status(&self) -> RegistryStatus {
        self.inner.catalog.status()
    }

    /// The last thing that went wrong in following etcd; `None` while it goes well.
    pub fn last_error(&self) -> Option<EtcdError> {
        self.inner.progress.borrow().error.clone()
    }
}

impl<I: ServiceInstance> Clone for EtcdRegistry<I> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<I: ServiceInstance> fmt::Debug for EtcdRegistry<I> {
    /// Prints endpoints and keys, and neither an instance nor a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdRegistry").field("store", &self.inner.store).finish_non_exhaustive()
    }
}
