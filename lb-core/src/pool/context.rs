//! What the pools of one balancer share: [`PoolContext`].

use std::fmt;
use std::sync::Arc;

use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;
use crate::limit::{AdaptiveLimiters, LimiterFactory, QuotaGroups};
use crate::signal::Signal;
use crate::strategy::{CoreStrategies, RoundRobin, Strategy, StrategyFactory};

/// What the pools of one balancer share.
pub struct PoolContext<I> {
    /// The strategy of services whose configuration names none.
    pub strategy: Arc<dyn Strategy<I>>,
    /// Builds the strategies that configurations name.
    pub factory: Arc<dyn StrategyFactory<I>>,
    /// The configuration of services that have none in the registry.
    pub config: ServiceConfig,
    /// What the pools draw their random numbers from where no call does (the jitter of ejections). Default 0; the
    /// engine draws one, so that processes differ.
    pub seed: u64,
    pub(crate) groups: QuotaGroups,
    pub(crate) signal: Arc<Signal>,
}

impl<I: ServiceInstance> PoolContext<I> {
    /// Everything at its default: round robin, default configuration, limits that are declared, hinted at or learned.
    pub fn new() -> Self {
        Self::with_limiters(Arc::new(AdaptiveLimiters))
    }

    /// Everything at its default but the limiters of quota groups.
    pub fn with_limiters(limiters: Arc<dyn LimiterFactory>) -> Self {
        Self {
            strategy: Arc::new(RoundRobin::new()),
            factory: Arc::new(CoreStrategies),
            config: ServiceConfig::default(),
            seed: 0,
            groups: QuotaGroups::new(limiters),
            signal: Arc::default(),
        }
    }
}

impl<I: ServiceInstance> Default for PoolContext<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> fmt::Debug for PoolContext<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolContext").field("config", &self.config).finish_non_exhaustive()
    }
}
