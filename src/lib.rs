// The links of the README, where they lead to pages: the first definition of a link counts.
#![doc = "[guide]: docs::guide"]
#![doc = "[architecture]: docs::architecture"]
#![doc = "[zh-CN]: docs::zh_cn"]
#![doc = include_str!("../README.md")]

mod balancer;
#[cfg(any(doc, doctest))]
pub mod docs;

pub use balancer::LoadBalancer;
pub use lb_core::limit::{QuotaHint, QuotaSource, QuotaStatus};
pub use lb_core::member::RestReason;
pub use lb_core::pool::{InstanceStats, NoPick, ServiceStats};
pub use lb_core::{
    Attempt, Builder, ByError, CallOptions, CallReport, Cause, Classifier, Classify, ConfigError, Error,
    Failure, FailureKind, FailurePercentageEjection, HedgeConfig, Instance, Limits, OutlierDetection,
    PickError, Picked, RegistryError, RequestError, RetryBudgetConfig, Scope, Service, ServiceConfig,
    ServiceConfigBuilder, ServiceInstance, ServiceRegistry, SlowStart, StrategySpec, SuccessRateEjection,
    Traced, Trail, Unavailable, Why,
};
#[cfg(feature = "memory")]
pub use lb_registry_memory::MemoryRegistry;

/// Where instances and configuration live: the trait, and what authors of registries need.
pub mod registry {
    pub use lb_core::registry::*;
}

/// How to choose: the built-in strategies, and what authors of strategies need.
pub mod strategy {
    pub use lb_core::strategy::*;
    pub use lb_strategies::*;
}

/// What providers say of quotas in headers and bodies, for classifiers and closures of your own.
pub mod headers {
    pub use lb_core::headers::*;
}

/// Quotas: what authors of limiters need.
pub mod limit {
    pub use lb_core::limit::*;
}

/// Contract tests for registries and strategies of your own.
#[cfg(feature = "testing")]
pub mod testing {
    pub use lb_core::testing::*;
}

/// The decisions without the engine: the pool, the retry plan, time and chance. For simulators and for those who
/// drive them in their own way.
pub mod decide {
    pub use lb_core::health::{EjectionReason, HealthState};
    pub use lb_core::member::{Lease, MemberState, RestReason};
    pub use lb_core::plan::{AttemptLimit, Next, RetryPlan, Stop};
    pub use lb_core::pool::{
        Effect, InstanceStats, NoPick, Pool, PoolContext, RetryBudget, ServiceStats, backoff,
    };
    pub use lb_core::{CallPolicy, Clock, RandomSource, SeededRandom, ThreadRandom, Time};
}

/// What most programs need: `use loadbalance::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "memory")]
    pub use lb_registry_memory::MemoryRegistry;

    pub use crate::LoadBalancer;
    pub use crate::strategy::RoundRobin;
    pub use lb_core::registry::{Override, RegistryError, Revision};
    pub use lb_core::{
        CallOptions, Classifier, Classify, Error, Failure, FailureKind, Instance, Limits, Picked,
        RequestError, Service, ServiceConfig, ServiceInstance, ServiceRegistry,
    };
}
