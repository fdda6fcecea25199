//! The handle that users hold: [`MemoryRegistry`].

use std::fmt;
use std::sync::Arc;

use crate::services::Services;

/// A registry in the memory of the process. Cloning it gives another handle on the same registry.
///
/// Every method of [`ServiceRegistry`](lb_core::ServiceRegistry) is ready when it is first polled: it never waits.
/// When a write has resolved, the next request sees it: the balancers' rebuilding is done by the writer.
///
/// - Registering or removing one of n instances costs O(log n); what did not change is shared between snapshots.
/// - An override belongs to the id: it stays when the instance is replaced, and goes with it.
/// - An announcement removes its instance when it is dropped, then and there, with or without a runtime. It owns the
///   id until somebody else writes an instance under it.
/// - One counter numbers the writes of the whole registry, from 1; revisions are never used again.
/// - A service without instances, configuration and watches takes no memory.
/// - A watch does not keep the registry alive: handles and announcements do. When the last of them is dropped,
///   waiting watches get [`PublisherGone`](lb_core::registry::PublisherGone) and keep their last snapshot.
///
/// ```
/// use std::time::Duration;
/// use lb_core::registry::Override;
/// use lb_core::{Instance, ServiceRegistry};
/// use lb_registry_memory::MemoryRegistry;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), lb_core::RegistryError> {
/// let registry = MemoryRegistry::new();
/// registry.register("cart", Instance::new("cart-1").with_weight(3)).await?;
/// let announcement = registry.announce("cart", Instance::new("cart-2")).await?;
///
/// registry.set_override("cart", "cart-1", Override::drain()).await?;       // an operator takes cart-1 out of use …
/// registry.register("cart", Instance::new("cart-1").with_weight(5)).await?; // … and it stays out across a deployment
/// assert_eq!(registry.instances("cart").await?[0].weight(), 0);
///
/// announcement.leave(Duration::from_secs(5)).await?;                       // no new requests, then gone
/// assert_eq!(registry.instances("cart").await?.len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// The instance type needs neither `Clone` nor `Serialize`, so it can be a client:
///
/// ```
/// use lb_core::{RegistryError, ServiceInstance, ServiceRegistry};
/// use lb_registry_memory::MemoryRegistry;
///
/// struct Vendor { name: &'static str, key: String }
///
/// impl ServiceInstance for Vendor {
///     fn id(&self) -> &str { self.name }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), RegistryError> {
/// let registry = MemoryRegistry::new();
/// registry.register("qwen-max", Vendor { name: "aliyun", key: "…".into() }).await?;
/// # assert_eq!(registry.instances("qwen-max").await?[0].instance.key, "…");
/// # Ok(())
/// # }
/// ```
pub struct MemoryRegistry<I> {
    pub(crate) services: Arc<Services<I>>,
}

impl<I> MemoryRegistry<I> {
    /// An empty registry.
    pub fn new() -> Self {
        Self { services: Arc::default() }
    }
}

impl<I> Default for MemoryRegistry<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> Clone for MemoryRegistry<I> {
    fn clone(&self) -> Self {
        Self { services: Arc::clone(&self.services) }
    }
}

impl<I> fmt::Debug for MemoryRegistry<I> {
    /// Prints how many services there are, and no instance: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry").field("services", &self.services.len()).finish_non_exhaustive()
    }
}
