//! Where a call goes when everybody in its service fails. Under virtual time.

use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::strategy::RoundRobin;
use loadbalance::{RequestError, Why};
use tokio::time::Instant;

/// Services `small` (s1, s2) and `large` (l1); `gone` has nobody.
async fn balancer(fallbacks: &[&str]) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    for (service, id) in [("small", "s1"), ("small", "s2"), ("large", "l1")] {
        registry.register(service, Instance::new(id)).await.unwrap();
    }
    let fallbacks = fallbacks.iter().map(|name| (*name).to_owned()).collect();
    let config = ServiceConfig::builder().fallbacks(fallbacks).jitter(0.0).max_retries(6).build().unwrap();
    registry.set_config("small", config).await.unwrap();
    LoadBalancer::builder(registry).strategy(RoundRobin::new().starting_at(0)).seed(7).build()
}

type Step = (String, Why);

fn trail(attempts: &[loadbalance::Attempt]) -> Vec<Step> {
    attempts.iter().map(|attempt| (attempt.instance.to_string(), attempt.why)).collect()
}

fn steps<const N: usize>(steps: [(&str, Why); N]) -> Vec<Step> {
    steps.map(|(id, why)| (id.to_owned(), why)).to_vec()
}

#[tokio::test(start_paused = true)]
async fn when_all_have_failed_the_fallback_is_asked_at_once() {
    let (lb, start) = (balancer(&["gone", "large"]).await, Instant::now());
    let traced = lb
        .execute_traced("small", CallOptions::new(), async |picked| match picked.service() {
            "small" => Err(RequestError::service("500")),
            _ => Ok(picked.id.clone()),
        })
        .await
        .unwrap();
    assert_eq!(traced.value, "l1");
    assert_eq!(start.elapsed(), Duration::ZERO, "no backoff before it");
    let expected = steps([("s1", Why::First), ("s2", Why::Failover), ("l1", Why::Fallback)]);
    assert_eq!(trail(&traced.trail), expected);
}

#[tokio::test(start_paused = true)]
async fn who_has_failed_only_once_is_not_left_while_others_are_there() {
    let lb = balancer(&["large"]).await;
    let traced = lb
        .execute_traced("small", CallOptions::new(), async |picked| match picked.attempt() {
            1 => Err(RequestError::service("500")),
            _ => Ok(picked.id.clone()),
        })
        .await
        .unwrap();
    assert_eq!(traced.value, "s2");
}

#[tokio::test(start_paused = true)]
async fn where_no_fallback_has_anybody_the_next_round_is_at_home() {
    let (lb, start) = (balancer(&["gone", "nowhere"]).await, Instant::now());
    let traced = lb
        .execute_traced("small", CallOptions::new(), async |picked| match picked.attempt() {
            1..=4 => Err(RequestError::service("500")),
            _ => Ok(picked.id.clone()),
        })
        .await
        .unwrap();
    assert_eq!(traced.trail.len(), 5);
    assert!(traced.trail.iter().all(|attempt| &*attempt.service == "small"));
    let policy = ServiceConfig::default();
    assert!(start.elapsed() >= policy.retry_delay() * 2, "two backoffs: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_last_fallback_is_retried_and_the_retries_of_the_call_bound_it_all() {
    let lb = balancer(&["large"]).await;
    let error = lb.execute("small", async |_| Err::<(), _>(RequestError::service("500"))).await.unwrap_err();
    assert!(matches!(error, Error::MaxRetriesExceeded { .. }), "{error}");
    let mut expected = steps([("s1", Why::First), ("s2", Why::Failover), ("l1", Why::Fallback)]);
    expected.extend(steps([("l1", Why::Retry); 4]));
    assert_eq!(trail(error.attempts()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_has_used_up_its_quota_sends_the_call_home() {
    let lb = balancer(&["large"]).await;
    let options = || CallOptions::new().max_wait(Duration::from_secs(5)).deadline(Duration::from_secs(60));
    let exhausted = || RequestError::limit_exceeded("429").with_retry_after(Duration::from_secs(600));
    lb.execute_with("large", options(), async |_| Err::<(), _>(exhausted())).await.unwrap_err();
    let traced = lb
        .execute_traced("small", options(), async |picked| match picked.attempt() {
            1 | 2 => Err(RequestError::service("500")),
            _ => Ok(picked.id.clone()),
        })
        .await
        .unwrap();
    let expected = steps([("s1", Why::First), ("s2", Why::Failover), ("s1", Why::Retry)]);
    assert_eq!(trail(&traced.trail), expected);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_rests_beyond_the_deadline_is_left_at_once() {
    let (lb, start) = (balancer(&["large"]).await, Instant::now());
    let options = CallOptions::new().deadline(Duration::from_secs(10));
    let exhausted = || RequestError::limit_exceeded("429").with_retry_after(Duration::from_secs(600));
    for attempts in [3, 1] {
        let traced = lb
            .execute_traced("small", options.clone(), async |picked| match picked.service() {
                "small" => Err(exhausted()),
                _ => Ok(picked.id.clone()),
            })
            .await
            .unwrap();
        assert_eq!((&*traced.value, traced.trail.len()), ("l1", attempts));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}
