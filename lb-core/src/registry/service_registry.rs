//! The trait that every registry implements.

use std::sync::Arc;

use async_trait::async_trait;

use super::announcement::Announcement;
use super::entry::{Entry, Override};
use super::error::RegistryError;
use super::publisher::SnapshotWatch;
use super::snapshot::{ConfigEntry, Revision};
use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;

/// Holds the instances and the configuration of services, and tells who watches when they change.
///
/// Usable as `dyn ServiceRegistry<I>`, and through `Arc` and `Box`. The contract, which
/// `lb_core::testing::registry_contract` checks:
///
/// - A write whose future has resolved is in the next snapshot. Cancelling a write leaves it done or not done.
/// - Names and ids are checked by [`validate`](super::validate) before anything is stored.
/// - A watch of a service that does not exist is not an error: its snapshot is empty, and it sees the service come
///   into being. Once dropped, it leaves nothing behind.
/// - An entry that did not change is the same `Arc` in the next snapshot.
/// - A registry that loses its store keeps its last snapshot and says so in
///   [`freshness`](super::Snapshot::freshness); an outage never becomes an empty list.
///
/// ```
/// use lb_core::registry::Override;
/// use lb_core::{Instance, RegistryError, ServiceConfig, ServiceRegistry};
///
/// async fn set_up(registry: &dyn ServiceRegistry<Instance>) -> Result<(), RegistryError> {
///     registry.register("cart", Instance::new("cart-1").with_address("10.0.0.1:8080")).await?;
///     registry.set_config("cart", ServiceConfig::default()).await?;
///     registry.set_override("cart", "cart-1", Override::drain()).await?;
///     assert_eq!(registry.services().await?, ["cart"]);
///     assert_eq!(registry.instances("cart").await?[0].weight(), 0);
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Of all methods: [`RegistryError::InvalidService`] for a name that cannot be used, [`RegistryError::Backend`] if the
/// store failed, [`RegistryError::Closed`] after the registry was closed. What else a method refuses is said there.
#[async_trait]
pub trait ServiceRegistry<I: ServiceInstance>: Send + Sync + 'static {
    /// Registers an instance until it is deregistered. An instance of the same id is replaced: its rests end, what was
    /// laid over it stays. [`RegistryError::InvalidInstance`]: the id cannot be used.
    async fn register(&self, service: &str, instance: I) -> Result<(), RegistryError>;

    /// Registers an instance for as long as the returned handle lives: for a process that offers itself. An instance of
    /// the same id is replaced. [`RegistryError::InvalidInstance`]: the id cannot be used.
    async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError>;

    /// Takes an instance out, and what was laid over it. Requests that run on it are not disturbed. `false`: it was not
    /// there.
    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError>;

    /// Lays something over an instance, in place of what was laid over it before: operators drain and weigh without
    /// knowing `I`. [`Override::NONE`] takes it away again. An instance that is not there is
    /// [`RegistryError::UnknownInstance`].
    async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError>;

    /// Sets the service's configuration, whatever it was. It holds for calls that begin from now on.
    /// [`RegistryError::InvalidConfig`]: it names the service as its own fallback.
    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError>;

    /// Sets the service's configuration if it is still the one of revision `expected` ([`Revision::NONE`]: if there
    /// is none), else [`RegistryError::Conflict`].
    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError>;

    /// Takes the service's configuration away: its calls go by the balancer's defaults. `false`: there was none.
    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError>;

    /// The names of all services that have an instance or a configuration, in order.
    async fn services(&self) -> Result<Vec<String>, RegistryError>;

    /// Watches one service. See the contract above for one that does not exist.
    async fn watch(&self, service: &str) -> Result<SnapshotWatch<I>, RegistryError>;

    /// The instances of a service, ordered by id; none if it does not exist.
    async fn instances(&self, service: &str) -> Result<Vec<Arc<Entry<I>>>, RegistryError> {
        Ok(self.watch(service).await?.current().entries.iter().cloned().collect())
    }

    /// The configuration of a service and its revision, if one was set; what to give to
    /// [`compare_and_set_config`](Self::compare_and_set_config).
    async fn config(&self, service: &str) -> Result<Option<Arc<ConfigEntry>>, RegistryError> {
        Ok(self.watch(service).await?.current().config.clone())
    }
}

macro_rules! through_pointer {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<I: ServiceInstance, R: ServiceRegistry<I> + ?Sized> ServiceRegistry<I> for $pointer<R> {
            async fn register(&self, service: &str, instance: I) -> Result<(), RegistryError> {
                (**self).register(service, instance).await
            }
            async fn announce(&self, service: &str, instance: I) -> Result<Announcement<I>, RegistryError> {
                (**self).announce(service, instance).await
            }
            async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
                (**self).deregister(service, id).await
            }
            async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError> {
                (**self).set_override(service, id, over).await
            }
            async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
                (**self).set_config(service, config).await
            }
            async fn compare_and_set_config(
                &self,
                service: &str,
                expected: Revision,
                config: ServiceConfig,
            ) -> Result<(), RegistryError> {
                (**self).compare_and_set_config(service, expected, config).await
            }
            async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
                (**self).remove_config(service).await
            }
            async fn services(&self) -> Result<Vec<String>, RegistryError> {
                (**self).services().await
            }
            async fn watch(&self, service: &str) -> Result<SnapshotWatch<I>, RegistryError> {
                (**self).watch(service).await
            }
            async fn instances(&self, service: &str) -> Result<Vec<Arc<Entry<I>>>, RegistryError> {
                (**self).instances(service).await
            }
            async fn config(&self, service: &str) -> Result<Option<Arc<ConfigEntry>>, RegistryError> {
                (**self).config(service).await
            }
        }
    )*};
}

through_pointer!(Arc, Box);
