//! Limiters that share a quota, as a registry behind a network would.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use loadbalance::decide::Time;
use loadbalance::limit::{Limiter, LimiterFactory};
use loadbalance::prelude::*;

/// A fleet's common budget; every process has a limiter that draws on it.
#[derive(Clone, Default)]
struct FleetQuota(Arc<AtomicI64>);

impl Limiter for FleetQuota {
    fn declare(&self, _: Limits) {}
    fn try_acquire(&self, _: u64, now: Time) -> Result<(), Time> {
        let left = self.0.fetch_sub(1, Ordering::Relaxed);
        if left > 0 {
            return Ok(());
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(now + Duration::from_secs(1))
    }
    fn release(&self) {}
    fn available_at(&self, _: u64, now: Time) -> Time {
        if self.0.load(Ordering::Relaxed) > 0 { now } else { now + Duration::from_secs(1) }
    }
    fn headroom(&self, _: Time) -> f64 {
        self.0.load(Ordering::Relaxed).clamp(0, 10) as f64 / 10.0
    }
}

impl LimiterFactory for FleetQuota {
    fn limiter(&self, key: &str, _: Limits) -> Option<Arc<dyn Limiter>> {
        (key == "account").then(|| Arc::new(self.clone()) as Arc<dyn Limiter>)
    }
}

#[tokio::test(start_paused = true)]
async fn two_balancers_share_one_quota() {
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("key-1").with_quota_group("account")).await.unwrap();
    registry.register("s", Instance::new("key-2").with_quota_group("account")).await.unwrap();
    registry.register("s", Instance::new("other")).await.unwrap();
    let fleet = FleetQuota(Arc::new(AtomicI64::new(7)));
    let balancers = [(); 2].map(|()| LoadBalancer::builder(registry.clone()).limiters(fleet.clone()).build());
    let mut on_account = 0;
    for lb in balancers.iter().cycle().take(30) {
        let id = lb.execute("s", async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap();
        on_account += u32::from(id != "other");
    }
    assert_eq!(on_account, 7);
    // The only instances left are those without quota: the call waits until there is some.
    registry.deregister("s", "other").await.unwrap();
    let refill = {
        let fleet = fleet.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            fleet.0.fetch_add(1, Ordering::Relaxed);
        })
    };
    let start = tokio::time::Instant::now();
    balancers[0].execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    assert!((5..=6).contains(&start.elapsed().as_secs()));
    refill.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quota_group_has_one_quota() {
    let registry = MemoryRegistry::new();
    for id in ["key-1", "key-2"] {
        let limits = Limits::NONE.requests_per_minute(60).burst(Duration::from_secs(1));
        let instance = Instance::new(id).with_quota_group("account").with_limits(limits);
        registry.register("s", instance).await.unwrap();
    }
    let lb = LoadBalancer::new(registry);
    let start = tokio::time::Instant::now();
    for _ in 0..5 {
        lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 4, "two keys of one account get one account's quota");
}

#[tokio::test(start_paused = true)]
async fn limits_hold_through_registrations_and_whoever_declares_them_first() {
    let registry = MemoryRegistry::new();
    let limits = Limits::NONE.requests_per_minute(60).burst(Duration::from_secs(1));
    registry.register("own", Instance::new("a").with_limits(limits)).await.unwrap();
    registry.register("group", Instance::new("a").with_quota_group("g")).await.unwrap();
    registry.register("group", Instance::new("b").with_quota_group("g").with_limits(limits)).await.unwrap();
    let lb = LoadBalancer::new(registry.clone());
    for service in ["own", "group"] {
        let start = tokio::time::Instant::now();
        for n in 0..5 {
            lb.execute(service, async |_| Ok::<_, RequestError>(())).await.unwrap();
            if service == "own" {
                // Registered anew, with the same limits: what is used of them stays used.
                let again = Instance::new("a").with_limits(limits).with_metadata("n", n.to_string());
                registry.register("own", again).await.unwrap();
            }
        }
        assert_eq!(start.elapsed().as_secs(), 4, "{service}: one a second");
    }
}
