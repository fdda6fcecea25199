//! What each feature adds to a call that works at once (no timer is armed for it), beside the same call without it.
//! `cargo bench --bench features`.

use std::time::Duration;

use async_trait::async_trait;
use loadbalance::prelude::*;
use loadbalance::{
    CheckFailed, HealthCheck, HedgeConfig, OutlierDetection, RequestError, ServiceConfigBuilder, SlowStart,
};

mod support;

use support::measure::{Case, measure};
use support::{SERVICE, call, is_smoke, runtime, table};

/// Instances, and calls per instance after which its latency is sampled and not measured each time.
const INSTANCES: u64 = 3;
const WARM_UP: u64 = 300;

struct Never;

#[async_trait]
impl HealthCheck<Instance> for Never {
    async fn check(&self, _: &str, _: &Instance) -> Result<(), CheckFailed> {
        Ok(())
    }
}

fn main() {
    let runtime = runtime();
    let plain = |builder: ServiceConfigBuilder| builder;
    let mut cases = Vec::new();
    let mut add = |name: &str,
                   limits: Limits,
                   checks: bool,
                   config: &dyn Fn(ServiceConfigBuilder) -> ServiceConfigBuilder| {
        let service = runtime.block_on(service(limits, checks, config(ServiceConfig::builder())));
        let runtime = &runtime;
        cases.push(Case::new(name, move |count| {
            runtime.block_on(call(&service, count));
        }));
    };
    let roomy = Limits::NONE.burst(Duration::from_secs(600));
    add("everything at its default", Limits::NONE, false, &plain);
    add("outlier detection off", Limits::NONE, false, &|c| c.outlier_detection(OutlierDetection::OFF));
    add("slow start configured, over", Limits::NONE, false, &|c| {
        c.slow_start(SlowStart::over(Duration::from_secs(30)))
    });
    add("health checks", Limits::NONE, true, &plain);
    add("fallback services named", Limits::NONE, false, &|c| c.fallbacks(vec!["other".into()]));
    add("limit on concurrency", Limits::NONE.concurrency(1_000), false, &plain);
    add("limit on requests/min", roomy.requests_per_minute(u32::MAX), false, &plain);
    add(
        "limits on both and tokens",
        roomy.concurrency(1_000).requests_per_minute(u32::MAX).tokens_per_minute(u64::MAX / 4),
        false,
        &plain,
    );
    add("deadline", Limits::NONE, false, &|c| c.deadline(Duration::from_secs(30)));
    add("hedging", Limits::NONE, false, &|c| c.hedge(HedgeConfig::after(Duration::from_secs(30))));
    let costs = measure(&mut cases, if is_smoke() { 2 } else { 150 });
    let rows: Vec<_> = cases
        .iter()
        .zip(&costs)
        .map(|(case, cost)| {
            let ratio = table::times(cost.nanos / costs[0].nanos);
            vec![case.name.clone(), table::ns(cost.nanos), ratio, format!("{:.3}", cost.allocations)]
        })
        .collect();
    table::print(
        "through a handle, three instances",
        &["what", "ns", "of the default", "allocations"],
        &rows,
    );
}

async fn service(limits: Limits, checks: bool, config: ServiceConfigBuilder) -> Service<Instance> {
    let registry = MemoryRegistry::new();
    for n in 0..INSTANCES {
        registry.register(SERVICE, Instance::new(format!("i-{n}")).with_limits(limits)).await.expect("valid");
    }
    registry.set_config(SERVICE, config.build().expect("valid")).await.expect("valid");
    let builder = LoadBalancer::builder(registry);
    let lb = if checks { builder.health_check(Never).build() } else { builder.build() };
    let service = lb.service(SERVICE);
    for _ in 0..INSTANCES * WARM_UP {
        service.execute(async |_| Ok::<_, RequestError>(())).await.expect("cannot fail");
    }
    service
}
