//! A handle on one service: [`Service`].

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::balancer::{DEFAULTS, LoadBalancer};
use super::call::Call;
use super::directory::Resolved;
use super::picked::Picked;
use super::served::Served;
use super::target::Target;
use crate::error::{Error, PickError};
use crate::failure::{ByError, Classifier};
use crate::instance::ServiceInstance;
use crate::options::CallOptions;
use crate::pool::{NoPick, ServiceStats};

/// A handle on one service: calls through it save the look-up of the name, and it has
/// [`try_pick`](Self::try_pick). Cheap to clone; as long as one that has found its service lives, the service is not let
/// go for being idle. Made by [`LoadBalancer::service`].
///
/// ```
/// use lb_core::{Error, Instance, LoadBalancer, RequestError};
///
/// async fn example(lb: &LoadBalancer<Instance>) -> Result<(), Error<RequestError>> {
///     let cart = lb.service("cart");
///     for _ in 0..1_000 {
///         cart.execute(async |host| Ok::<_, RequestError>(host.id.len())).await?;
///     }
///     Ok(())
/// }
/// ```
pub struct Service<I: ServiceInstance> {
    balancer: LoadBalancer<I>,
    name: Arc<str>,
    /// Filled by the first call that finds the service in the registry.
    served: Arc<OnceLock<Arc<Served<I>>>>,
}

impl<I: ServiceInstance> Clone for Service<I> {
    fn clone(&self) -> Self {
        Self {
            balancer: self.balancer.clone(),
            name: Arc::clone(&self.name),
            served: Arc::clone(&self.served),
        }
    }
}

impl<I: ServiceInstance> Service<I> {
    pub(crate) fn new(balancer: LoadBalancer<I>, name: Arc<str>) -> Self {
        let served = OnceLock::new();
        if let Some(found) = balancer.inner().directory.get(&name) {
            let _ = served.set(Arc::clone(found.served()));
        }
        Self { balancer, name, served: Arc::new(served) }
    }

    /// The service's name.
    #[inline]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[inline]
    pub(crate) fn served(&self) -> Option<&Arc<Served<I>>> {
        self.served.get()
    }

    pub(crate) fn keep(&self, resolved: &Resolved<I>) {
        if resolved.pool().is_known() {
            let _ = self.served.set(Arc::clone(resolved));
        }
    }

    /// Like [`LoadBalancer::execute`].
    pub async fn execute<T, E, F, Fut>(&self, f: F) -> Result<T, Error<E>>
    where
        ByError: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call::new(self.balancer.inner(), Target::Handle(self), &DEFAULTS).run(None, f).await
    }

    /// Like [`LoadBalancer::execute_with`].
    pub async fn execute_with<T, E, C, F, Fut>(&self, options: CallOptions<C>, f: F) -> Result<T, Error<E>>
    where
        C: Classifier<T, E>,
        F: FnMut(Picked<I>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Call::new(self.balancer.inner(), Target::Handle(self), &options).run(None, f).await
    }

    /// Like [`LoadBalancer::pick`].
    pub async fn pick<C>(&self, options: &CallOptions<C>) -> Result<Picked<I>, PickError> {
        self.call(options).pick().await
    }

    /// Picks at once or not at all: no waiting, no look-up in the registry. Otherwise like
    /// [`pick`](LoadBalancer::pick).
    ///
    /// # Errors
    ///
    /// [`NoPick::NoneEligible`] if others wait already or nobody is available; [`NoPick::Unknown`] also before a call or
    /// `pick` through this handle (or through the balancer, before the handle was made) has found the service.
    pub fn try_pick<C>(&self, options: &CallOptions<C>) -> Result<Picked<I>, NoPick> {
        self.call(options).try_pick()
    }

    /// Like [`LoadBalancer::stats`].
    pub fn stats(&self) -> Option<ServiceStats> {
        self.served().map(|served| served.stats())
    }

    #[inline]
    fn call<'a, C>(&'a self, options: &'a CallOptions<C>) -> Call<'a, I, C> {
        Call::new(self.balancer.inner(), Target::Handle(self), options)
    }
}

impl<I: ServiceInstance> fmt::Debug for Service<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
