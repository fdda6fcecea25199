//! Builds a [`LoadBalancer`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::balancer::{Inner, LoadBalancer};
use super::clock::EngineClock;
use super::directory::Directory;
use super::random::Random;
use crate::check::HealthCheck;
use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;
use crate::limit::{AdaptiveLimiters, LimiterFactory};
use crate::pool::PoolContext;
use crate::random::{RandomSource, SeededRandom, ThreadRandom};
use crate::registry::ServiceRegistry;
use crate::strategy::{Strategy, StrategyFactory};

/// Builds a [`LoadBalancer`]. `L` is what [`build`](Self::build) returns: a crate that wraps the balancer names its own
/// type.
///
/// ```
/// use std::time::Duration;
/// use lb_core::strategy::RoundRobin;
/// use lb_core::{ConfigError, Instance, LoadBalancer, ServiceConfig, ServiceRegistry};
///
/// fn balancer(registry: impl ServiceRegistry<Instance>) -> Result<LoadBalancer<Instance>, ConfigError> {
///     let config = ServiceConfig::builder().deadline(Duration::from_secs(30)).build()?;
///     Ok(LoadBalancer::builder(registry)
///         .config(config)
///         .strategy(RoundRobin::new().ignoring_weights())
///         .idle_timeout(Duration::from_secs(60))
///         .seed(7)
///         .build())
/// }
/// ```
#[must_use]
pub struct Builder<I: ServiceInstance, L = LoadBalancer<I>> {
    registry: Arc<dyn ServiceRegistry<I>>,
    strategy: Option<Arc<dyn Strategy<I>>>,
    factory: Option<Arc<dyn StrategyFactory<I>>>,
    limiters: Arc<dyn LimiterFactory>,
    health_check: Option<Arc<dyn HealthCheck<I>>>,
    config: ServiceConfig,
    seed: Option<u64>,
    idle: Duration,
    result: PhantomData<fn() -> L>,
}

impl<I: ServiceInstance, L: From<LoadBalancer<I>>> Builder<I, L> {
    /// Everything at its default.
    pub fn new(registry: impl ServiceRegistry<I>) -> Self {
        Self {
            registry: Arc::new(registry),
            strategy: None,
            factory: None,
            limiters: Arc::new(AdaptiveLimiters),
            health_check: None,
            config: ServiceConfig::default(),
            seed: None,
            idle: Duration::from_secs(600),
            result: PhantomData,
        }
    }

    /// The strategy of services whose configuration names none. Default: round robin.
    pub fn strategy(mut self, strategy: impl Strategy<I>) -> Self {
        self.strategy = Some(Arc::new(strategy));
        self
    }

    /// Builds the strategies that configurations in the registry name, in place of what did so before. Default: those
    /// that come with the library; of this crate alone, [`CoreStrategies`](crate::strategy::CoreStrategies).
    pub fn strategy_factory(mut self, factory: impl StrategyFactory<I>) -> Self {
        self.factory = Some(Arc::new(factory));
        self
    }

    /// Makes the limiters of quota groups. Default: [`AdaptiveLimiters`].
    pub fn limiters(mut self, limiters: impl LimiterFactory) -> Self {
        self.limiters = Arc::new(limiters);
        self
    }

    /// Checks the instances of all services whose configuration does not switch it off, in the background, beginning
    /// with the first call to a service and for as long as it is in use. Default: nobody is checked.
    pub fn health_check(mut self, check: impl HealthCheck<I>) -> Self {
        self.health_check = Some(Arc::new(check));
        self
    }

    /// The configuration of services that have none in the registry. Default: [`ServiceConfig::default`]. One in the
    /// registry takes its place as a whole; fields are not mixed.
    pub fn config(mut self, config: ServiceConfig) -> Self {
        self.config = config;
        self
    }

    /// Makes all chance the same on every run (as long as the calls come in the same order). Default: one generator
    /// per thread, seeded from the operating system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// After how long without a call a service is let go, with its statistics; the next call looks it up anew.
    /// Default 10 minutes; at least one second.
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle = idle.max(Duration::from_secs(1));
        self
    }

    /// Builds it. Starts nothing: a service is looked up by its first call.
    pub fn build(self) -> L {
        #[cfg(feature = "metrics")]
        crate::meters::describe();
        let mut context = PoolContext::with_limiters(self.limiters);
        if let Some(strategy) = self.strategy {
            context.strategy = strategy;
        }
        if let Some(factory) = self.factory {
            context.factory = factory;
        }
        context.config = self.config;
        context.seed = self.seed.unwrap_or_else(|| ThreadRandom.next_u64());
        let random = match self.seed {
            Some(seed) => Random::Seeded(SeededRandom::new(seed)),
            None => Random::Thread(ThreadRandom),
        };
        let directory = Directory::new(
            self.registry,
            self.health_check,
            Arc::new(context),
            EngineClock::start(),
            self.idle,
        );
        LoadBalancer::from_inner(Inner { directory, random }).into()
    }
}

impl<I: ServiceInstance, L> fmt::Debug for Builder<I, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
