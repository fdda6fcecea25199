//! Whom a call is for: [`Target`].

use super::directory::{Directory, Resolved};
use super::served::Served;
use super::service::Service;
use crate::instance::ServiceInstance;
use crate::registry::RegistryError;

/// A service, by its name or by a handle.
pub(crate) enum Target<'a, I: ServiceInstance> {
    Name(&'a str),
    Handle(&'a Service<I>),
}

impl<I: ServiceInstance> Clone for Target<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: ServiceInstance> Copy for Target<'_, I> {}

impl<I: ServiceInstance> Target<'_, I> {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Handle(service) => service.name(),
        }
    }

    /// Does something with the service if it is in service already. No lock, no await, no reference count.
    #[inline]
    pub(crate) fn with<R>(&self, directory: &Directory<I>, f: impl FnOnce(&Served<I>) -> R) -> Option<R> {
        match self {
            Self::Name(name) => directory.get(name).map(|found| f(found.served())),
            Self::Handle(service) => service.served().map(|served| f(served)),
        }
    }

    /// The service, looked up in the registry if need be.
    pub(crate) async fn resolve(&self, directory: &Directory<I>) -> Result<Resolved<I>, RegistryError> {
        let resolved = directory.resolve(self.name()).await?;
        if let Self::Handle(service) = self {
            service.keep(&resolved);
        }
        Ok(resolved)
    }
}
