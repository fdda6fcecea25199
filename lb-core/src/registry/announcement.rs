//! An instance that is registered for as long as somebody stands behind it: [`Announcement`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::error::RegistryError;

/// The registry's side of an [`Announcement`]: what keeps it alive and takes it back.
///
/// All methods concern only what this announcement put there: if somebody registered the same id since, they leave
/// that alone.
#[async_trait]
pub trait AnnouncementKeeper<I>: Send + Sync + 'static {
    /// Replaces the announced instance; the id must not change ([`RegistryError::InvalidInstance`]). An error, too, if
    /// what is there is not this announcement's any more: then nothing is written.
    async fn update(&mut self, instance: I) -> Result<(), RegistryError>;

    /// Marks the instance as draining: no new requests. Nothing to do if it is not there any more.
    async fn drain(&mut self) -> Result<(), RegistryError>;

    /// Takes the instance out. Nothing to do if it is not there any more.
    async fn remove(&mut self) -> Result<(), RegistryError>;

    /// The handle was dropped without leaving. Must return at once, must not spawn (the runtime may be gone): send a
    /// signal to a task that exists, or take the instance out if that needs no waiting. Where neither is possible, the
    /// time-to-live cleans up.
    fn abandon(&mut self);
}

/// Keeps an instance registered while it lives. Made by [`ServiceRegistry::announce`].
///
/// The graceful way out is [`leave`](Self::leave). Dropping the handle takes the instance out, too, without a drain.
/// Dropping never blocks and needs no runtime.
///
/// ```
/// use std::time::Duration;
/// use lb_core::{Instance, RegistryError, ServiceRegistry};
///
/// async fn serve(registry: &dyn ServiceRegistry<Instance>) -> Result<(), RegistryError> {
///     let mut announcement = registry.announce("cart", Instance::new("cart-1")).await?;
///     announcement.update(Instance::new("cart-1").with_weight(2)).await?;
///     // … serve, until told to stop …
///     announcement.leave(Duration::from_secs(10)).await
/// }
/// ```
///
/// [`ServiceRegistry::announce`]: super::ServiceRegistry::announce
#[must_use = "dropping the announcement takes the instance out again"]
pub struct Announcement<I: 'static> {
    id: String,
    keeper: Box<dyn AnnouncementKeeper<I>>,
    left: bool,
}

impl<I: 'static> Announcement<I> {
    /// An announcement of the instance `id`, kept by `keeper`. For authors of registries.
    pub fn new(id: impl Into<String>, keeper: impl AnnouncementKeeper<I>) -> Self {
        Self { id: id.into(), keeper: Box::new(keeper), left: false }
    }

    /// The id of the announced instance.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Replaces the announced instance. The id must be the same, else [`RegistryError::InvalidInstance`]; an error, too,
    /// if somebody took the instance out or registered another one under its id since.
    pub async fn update(&mut self, instance: I) -> Result<(), RegistryError> {
        self.keeper.update(instance).await
    }

    /// Leaves gracefully: no new requests from now on; after `grace`, in which running ones finish, the instance is
    /// taken out. Cancelling this (dropping the future) takes it out at once.
    ///
    /// The grace is given also where the registry cannot be told, because then requests go on coming; the first error
    /// is returned in the end.
    pub async fn leave(mut self, grace: Duration) -> Result<(), RegistryError> {
        let drained = self.keeper.drain().await;
        if !grace.is_zero() {
            tokio::time::sleep(grace).await;
        }
        let removed = self.keeper.remove().await;
        self.left = removed.is_ok();
        drained.and(removed)
    }
}

impl<I: 'static> Drop for Announcement<I> {
    fn drop(&mut self) {
        if !self.left {
            self.keeper.abandon();
        }
    }
}

impl<I: 'static> fmt::Debug for Announcement<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").field("id", &self.id).finish_non_exhaustive()
    }
}
