//! A second attempt when the first takes unusually long.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use loadbalance::decide::{RandomSource, SeededRandom};
use loadbalance::prelude::*;
use loadbalance::{HedgeConfig, Why};
use tokio::time::Instant;

const MILLI: Duration = Duration::from_millis(1);

async fn balancer(instances: usize, hedge: Option<HedgeConfig>) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", (0..instances).map(|n| Instance::new(format!("i{n}")))).unwrap();
    let mut config = ServiceConfig::builder().jitter(0.0);
    if let Some(hedge) = hedge {
        config = config.hedge(hedge);
    }
    registry.set_config("s", config.build().unwrap()).await.unwrap();
    LoadBalancer::builder(registry).seed(7).build()
}

/// One request in a hundred takes a hundred times as long, whoever gets it ("The Tail at Scale").
async fn tail(hedge: Option<HedgeConfig>) -> (Duration, f64) {
    const CALLS: usize = 20_000;
    let lb = balancer(10, hedge).await;
    let random = SeededRandom::new(3);
    let upstream = Cell::new(0_u32);
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let start = Instant::now();
        lb.execute("s", async |_| {
            upstream.set(upstream.get() + 1);
            let slow = if random.below(100) == 0 { 100 } else { 1 };
            tokio::time::sleep((5 + random.below(11) as u32) * slow * MILLI).await;
            Ok::<_, RequestError>(())
        })
        .await
        .unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.in_flight == 0));
    (times[CALLS * 999 / 1000], f64::from(upstream.get()) / CALLS as f64 - 1.0)
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_cut_by_ten_for_five_per_cent() {
    let (plain, none) = tail(None).await;
    let (hedged, extra) = tail(Some(HedgeConfig::percentile(0.95))).await;
    assert!(none.abs() < f64::EPSILON);
    assert!(hedged * 10 <= plain, "p99.9 {plain:?} without, {hedged:?} with hedging");
    assert!(extra <= 0.0505, "{extra}");
}

#[tokio::test(start_paused = true)]
async fn the_first_success_wins_and_the_loser_counts_as_cancelled() {
    let lb = balancer(2, Some(HedgeConfig::after(10 * MILLI))).await;
    let start = Instant::now();
    let traced = lb
        .execute_traced("s", CallOptions::new(), async |i| {
            tokio::time::sleep(if i.attempt() == 1 { 1000 * MILLI } else { 5 * MILLI }).await;
            Ok::<_, RequestError>(i.attempt())
        })
        .await
        .unwrap();
    assert_eq!((traced.value, start.elapsed()), (2, 15 * MILLI));
    assert_eq!(traced.trail.last().unwrap().why, Why::Hedge);
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.in_flight == 0 && i.requests == 1));
    assert_eq!(stats.instances.iter().map(|i| i.cancelled).sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_waits_for_the_other_and_of_both_goes_on() {
    let lb = balancer(3, Some(HedgeConfig::after(10 * MILLI).max_extra(1.0))).await;
    for (first_fails, second_fails) in [(true, false), (false, true), (true, true)] {
        let tried = RefCell::new(Vec::new());
        let traced = lb
            .execute_traced("s", CallOptions::new(), async |i| {
                tried.borrow_mut().push(i.id.clone());
                tokio::time::sleep(20 * MILLI * i.attempt()).await;
                match i.attempt() {
                    1 if first_fails => Err(RequestError::service("first")),
                    2 if second_fails => Err(RequestError::service("second")),
                    // The one that succeeds takes longer than the one that fails.
                    n => {
                        tokio::time::sleep(100 * MILLI).await;
                        Ok(n)
                    }
                }
            })
            .await
            .unwrap();
        let expected = match (first_fails, second_fails) {
            (true, true) => 3,
            (true, false) => 2,
            _ => 1,
        };
        assert_eq!(traced.value, expected);
        let mut distinct = tried.into_inner();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), expected.max(2) as usize, "nobody is tried twice");
    }
    assert!(lb.stats("s").unwrap().instances.iter().all(|i| i.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_hedged() {
    let slow = async |i: Picked<Instance>| {
        tokio::time::sleep(1000 * MILLI).await;
        Ok::<_, RequestError>(i.attempt())
    };
    let hedge = || Some(HedgeConfig::after(10 * MILLI));
    let requests = |lb: &LoadBalancer<Instance>| {
        lb.stats("s").unwrap().instances.iter().map(|i| i.requests).sum::<u64>()
    };
    let lb = balancer(2, hedge()).await;
    lb.execute_with("s", CallOptions::new().idempotent(false), slow).await.unwrap();
    assert_eq!(requests(&lb), 1, "a call that is not idempotent");
    lb.execute_with("s", CallOptions::new().max_retries(0), slow).await.unwrap();
    assert_eq!(requests(&lb), 2, "a call without an attempt left");
    let alone = balancer(1, hedge()).await;
    alone.execute("s", slow).await.unwrap();
    assert_eq!(requests(&alone), 1, "nobody else to ask");
    let none = balancer(2, Some(HedgeConfig::after(10 * MILLI).max_extra(0.0))).await;
    for _ in 0..50 {
        none.execute("s", slow).await.unwrap();
    }
    assert!(requests(&none) <= 60, "no more than the burst");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_hedged_call_leaks_nothing() {
    let lb = balancer(2, Some(HedgeConfig::after(10 * MILLI).max_extra(1.0))).await;
    for millis in 0..40 {
        let call = lb.execute("s", async |_| {
            tokio::time::sleep(30 * MILLI).await;
            Ok::<_, RequestError>(())
        });
        let _ = tokio::time::timeout(millis * MILLI, call).await;
        let stats = lb.stats("s").unwrap();
        assert!(stats.instances.iter().all(|i| i.in_flight == 0), "{stats:?}");
    }
}
