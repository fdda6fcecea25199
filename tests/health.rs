//! What callers and operators see of health: ejection, probing and draining, under virtual time.

use std::cell::Cell;
use std::time::Duration;

use loadbalance::decide::HealthState;
use loadbalance::prelude::*;
use loadbalance::{OutlierDetection, RequestError, Unavailable};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn balancer(ids: &[&str]) -> (LoadBalancer<Instance>, MemoryRegistry<Instance>) {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", ids.iter().map(|id| Instance::new(*id))).unwrap();
    (LoadBalancer::builder(registry.clone()).seed(7).build(), registry)
}

fn health(lb: &LoadBalancer<Instance>, id: &str) -> HealthState {
    lb.stats("s").unwrap().instances.iter().find(|i| &*i.id == id).unwrap().health
}

/// A call of which attempts on `a` fail while `down`. Returns how many attempts it took.
async fn call(lb: &LoadBalancer<Instance>, down: bool) -> usize {
    let result = lb.execute_traced("s", CallOptions::new(), async |i| {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if down && i.id == "a" { Err(RequestError::service("503")) } else { Ok(()) }
    });
    result.await.unwrap().trail.len()
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_fails_is_left_out_and_comes_back() {
    let (lb, _) = balancer(&["a", "b"]);
    let mut failures = 0;
    for _ in 0..100 {
        failures += call(&lb, true).await - 1;
    }
    assert_eq!((failures, health(&lb, "a")), (5, HealthState::Ejected));
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(health(&lb, "a"), HealthState::Probing);
    for _ in 0..2 {
        call(&lb, false).await;
    }
    assert_eq!(health(&lb, "a"), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn one_of_many_waiting_calls_is_the_probe() {
    let (lb, _) = balancer(&["a", "b"]);
    while health_of_first_call(&lb).await != HealthState::Ejected {}
    tokio::time::sleep(30 * SECOND).await;
    let calls = (0..50).map(|_| call(&lb, true));
    let attempts: usize = futures_util::future::join_all(calls).await.into_iter().sum();
    assert_eq!(attempts, 51, "one probe failed, and its call went elsewhere");
    assert_eq!(health(&lb, "a"), HealthState::Ejected);
}

async fn health_of_first_call(lb: &LoadBalancer<Instance>) -> HealthState {
    call(lb, true).await;
    health(lb, "a")
}

#[tokio::test(start_paused = true)]
async fn while_everything_fails_calls_neither_wait_for_ejections_nor_lose_instances() {
    let (lb, _) = balancer(&["a", "b", "c"]);
    let options = CallOptions::new().max_retries(20).jitter(0.0);
    let start = Instant::now();
    let error = lb
        .execute_with("s", options, async |_| Err::<(), _>(RequestError::service("503")))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::MaxRetriesExceeded { .. }), "{error}");
    // Seven rounds of three, and the waits between them; nothing of the 30 s that an ejection lasts.
    let waits: f64 = (0..6).map(|n| 2.0 * 1.1_f64.powi(n)).sum();
    assert!((start.elapsed().as_secs_f64() - waits).abs() < 0.1, "{:?}", start.elapsed());
    let stats = lb.stats("s").unwrap();
    assert!(stats.panic && stats.instances.iter().all(|i| i.requests == 7), "{stats:?}");
    call(&lb, false).await;
    assert!(!lb.stats("s").unwrap().panic);
}

#[tokio::test(start_paused = true)]
async fn operators_tune_it_while_it_runs() {
    let (lb, registry) = balancer(&["a", "b"]);
    for _ in 0..20 {
        call(&lb, true).await;
    }
    assert_eq!(health(&lb, "a"), HealthState::Ejected);
    let set = async |json: &str| {
        registry.set_config("s", ServiceConfig::from_json(json).unwrap()).await.unwrap();
    };
    set(r#"{ "outlier_detection": { "enabled": false } }"#).await;
    assert_eq!(health(&lb, "a"), HealthState::Healthy);
    for _ in 0..20 {
        call(&lb, true).await;
    }
    assert_eq!(health(&lb, "a"), HealthState::Healthy);
    set(r#"{ "outlier_detection": { "consecutive_failures": 1, "base_ejection_time": "5s", "jitter": 0 } }"#)
        .await;
    for _ in 0..2 {
        call(&lb, true).await;
    }
    let stats = lb.stats("s").unwrap();
    assert_eq!((stats.ejected, stats.instances[0].ejections), (1, 2));
    assert!(stats.instances[0].resting_for.unwrap() <= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn calls_fail_if_all_are_ejected_and_that_is_wanted() {
    let (lb, registry) = balancer(&["a", "b"]);
    let config = r#"{ "outlier_detection": { "fail_on_panic": true } }"#;
    registry.set_config("s", ServiceConfig::from_json(config).unwrap()).await.unwrap();
    for _ in 0..20 {
        call(&lb, true).await;
    }
    registry.deregister("s", "b").await.unwrap();
    let error = lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap_err();
    assert!(matches!(error, Error::NoAvailableInstance { reason: Unavailable::AllEjected, .. }), "{error:?}");
    assert!(error.to_string().contains("fail_on_panic"));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_429_empties_nothing() {
    let (lb, _) = balancer(&["a", "b"]);
    let options = CallOptions::new().max_retries(60).retry_delay(Duration::from_millis(10));
    let left = Cell::new(50);
    lb.execute_with("s", options, async |_| {
        left.set(left.get() - 1);
        if left.get() > 0 { Err(RequestError::limit_exceeded("429")) } else { Ok(()) }
    })
    .await
    .unwrap();
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.health == HealthState::Healthy && i.ejections == 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_held_against_nobody() {
    let (lb, _) = balancer(&["a", "b"]);
    for _ in 0..100 {
        let hangs = lb.execute("s", async |_| std::future::pending::<Result<(), RequestError>>().await);
        assert!(tokio::time::timeout(SECOND, hangs).await.is_err());
    }
    assert_eq!((health(&lb, "a"), health(&lb, "b")), (HealthState::Healthy, HealthState::Healthy));
}

#[tokio::test(start_paused = true)]
async fn a_bad_key_is_probed_by_one_call_at_a_time() {
    let (lb, _) = balancer(&["a", "b"]);
    let bad_key = async |i: Picked<Instance>| {
        tokio::time::sleep(SECOND).await;
        if i.id == "a" { Err(RequestError::unusable("401")) } else { Ok(()) }
    };
    let storm = async || {
        let before = lb.stats("s").map_or(0, |s| s.instances[0].requests);
        let calls = (0..40).map(|_| lb.execute("s", bad_key));
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        lb.stats("s").unwrap().instances[0].requests - before
    };
    assert_eq!(storm().await, 20);
    let first = lb.stats("s").unwrap().instances[0].resting_for.unwrap();
    assert!(first <= 60 * SECOND, "twenty answers at once count once: {first:?}");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(storm().await, 1);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_last_request() {
    let (lb, registry) = balancer(&["a", "b"]);
    let options = CallOptions::new();
    let mut on_a = Vec::new();
    while on_a.len() < 3 {
        let picked = lb.pick("s", &options).await.unwrap();
        if picked.id == "a" { on_a.push(picked) } else { picked.finish() }
    }
    let start = Instant::now();
    let drained = {
        let lb = lb.clone();
        tokio::spawn(async move { lb.drained("s", "a").await })
    };
    tokio::time::sleep(SECOND).await;
    assert!(!drained.is_finished(), "it is in use");
    registry.set_override("s", "a", loadbalance::registry::Override::drain()).await.unwrap();
    for picked in on_a {
        tokio::time::sleep(SECOND).await;
        assert!(!drained.is_finished());
        picked.finish();
    }
    drained.await.unwrap();
    assert_eq!(start.elapsed(), 4 * SECOND, "at the very end of the last one");
    lb.drained("s", "nobody").await;
    lb.drained("nobody-knows-it", "a").await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_with_deregistration_and_weight_zero_too() {
    let (lb, registry) = balancer(&["a", "b"]);
    for deregister in [true, false] {
        let picked = loop {
            let picked = lb.pick("s", &CallOptions::new()).await.unwrap();
            if picked.id == "a" {
                break picked;
            }
        };
        if deregister {
            registry.deregister("s", "a").await.unwrap();
            let stats = lb.stats("s").unwrap();
            let left = stats.instances.iter().find(|i| &*i.id == "a").unwrap();
            assert_eq!((left.state, left.in_flight), (None, 1), "what is left of it");
        } else {
            let zero = loadbalance::registry::Override::weight(0);
            registry.set_override("s", "a", zero).await.unwrap();
        }
        let drained = {
            let lb = lb.clone();
            tokio::spawn(async move { lb.drained("s", "a").await })
        };
        tokio::time::sleep(SECOND).await;
        assert!(!drained.is_finished());
        drop(picked);
        drained.await.unwrap();
        registry.register("s", Instance::new("a")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn stats_tell_the_state() {
    let (lb, _) = balancer(&["a", "b"]);
    for _ in 0..20 {
        call(&lb, true).await;
    }
    let json = serde_json::to_value(lb.stats("s").unwrap()).unwrap();
    assert_eq!(json["ejected"], 1);
    assert_eq!(json["panic"], false);
    let a = &json["instances"][0];
    assert_eq!((&a["health"], &a["ejections"]), (&"ejected".into(), &1.into()));
    assert_eq!(
        (&a["rest_reason"], &a["last_ejection"]["reason"]),
        (&"ejected".into(), &"consecutive_failures".into())
    );
    assert_eq!(OutlierDetection::DEFAULT, OutlierDetection::default());
}
