//! The balancer with everything that comes with the library.

use std::fmt;
use std::ops::Deref;

use lb_core::{Builder, ServiceInstance, ServiceRegistry};
use lb_strategies::BuiltInStrategies;

/// Picks an instance of a service, runs your closure on it, learns from the outcome, and goes elsewhere when that
/// instance could not serve.
///
/// All methods ([`execute`], [`execute_with`], [`execute_traced`], [`pick`], [`service`], [`stats`]) are those of
/// [`lb_core::LoadBalancer`], which this derefs to; it adds that configuration in the registry can name any of the
/// built-in [strategies](crate::strategy).
///
#[cfg_attr(feature = "memory", doc = "```")]
#[cfg_attr(not(feature = "memory"), doc = "```ignore")]
/// use std::time::Duration;
/// use loadbalance::prelude::*;
/// use loadbalance::strategy::Random;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = MemoryRegistry::new();
/// registry.register("cart", Instance::new("cart-1").with_address("10.0.0.1:8080")).await?;
/// let lb = LoadBalancer::builder(registry).strategy(Random::new()).build();
///
/// let options = CallOptions::new().deadline(Duration::from_millis(200)).max_retries(2);
/// let id = lb.execute_with("cart", options, async |host| Ok::<_, RequestError>(host.id.clone())).await?;
/// assert_eq!(id, "cart-1");
/// assert_eq!(lb.stats("cart").unwrap().instances[0].requests, 1);
/// # Ok(())
/// # }
/// ```
///
/// [`execute`]: lb_core::LoadBalancer::execute
/// [`execute_with`]: lb_core::LoadBalancer::execute_with
/// [`execute_traced`]: lb_core::LoadBalancer::execute_traced
/// [`pick`]: lb_core::LoadBalancer::pick
/// [`service`]: lb_core::LoadBalancer::service
/// [`stats`]: lb_core::LoadBalancer::stats
pub struct LoadBalancer<I: ServiceInstance>(lb_core::LoadBalancer<I>);

impl<I: ServiceInstance> LoadBalancer<I> {
    /// A balancer over the instances of `registry`, with round robin and the default configuration.
    pub fn new(registry: impl ServiceRegistry<I>) -> Self {
        Self::builder(registry).build()
    }

    /// A balancer of which something is to be different from the default.
    pub fn builder(registry: impl ServiceRegistry<I>) -> Builder<I, Self> {
        Builder::new(registry).strategy_factory(BuiltInStrategies)
    }
}

impl<I: ServiceInstance> From<lb_core::LoadBalancer<I>> for LoadBalancer<I> {
    fn from(balancer: lb_core::LoadBalancer<I>) -> Self {
        Self(balancer)
    }
}

impl<I: ServiceInstance> Deref for LoadBalancer<I> {
    type Target = lb_core::LoadBalancer<I>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<I: ServiceInstance> Clone for LoadBalancer<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: ServiceInstance> fmt::Debug for LoadBalancer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
