//! What a call does, under virtual time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::registry::Override;
use loadbalance::strategy::RoundRobin;
use loadbalance::{Cause, RequestError, RetryBudgetConfig, Unavailable, Why};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// A balancer over instances `a`, `b`, `c`, … that takes them in that order.
async fn balancer(ids: &[&str]) -> (LoadBalancer<Instance>, MemoryRegistry<Instance>) {
    let registry = MemoryRegistry::new();
    for id in ids {
        registry.register("s", Instance::new(*id)).await.unwrap();
    }
    let lb =
        LoadBalancer::builder(registry.clone()).strategy(RoundRobin::new().starting_at(0)).seed(7).build();
    (lb, registry)
}

fn no_jitter() -> CallOptions {
    CallOptions::new().jitter(0.0)
}

#[tokio::test(start_paused = true)]
async fn instances_are_taken_in_turn() {
    let (lb, _) = balancer(&["a", "b", "c"]).await;
    let mut seen = String::new();
    for _ in 0..6 {
        seen += &lb.execute("s", async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap();
    }
    assert_eq!(seen, "abcabc");
}

#[tokio::test(start_paused = true)]
async fn a_failure_goes_elsewhere_at_once() {
    let (lb, _) = balancer(&["a", "b", "c"]).await;
    let start = Instant::now();
    let traced = lb
        .execute_traced("s", CallOptions::new(), async |i| match i.attempt() {
            1 | 2 => Err(RequestError::service("boom")),
            _ => Ok(i.id.clone()),
        })
        .await
        .unwrap();
    assert_eq!(traced.value, "c");
    assert_eq!(start.elapsed(), Duration::ZERO);
    let trail: Vec<_> = traced.trail.iter().map(|a| (&*a.instance, a.failure.is_some(), a.why)).collect();
    assert_eq!(trail, [("a", true, Why::First), ("b", true, Why::Failover), ("c", false, Why::Failover)]);
}

#[tokio::test(start_paused = true)]
async fn after_a_round_it_waits_and_begins_anew() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let start = Instant::now();
    let times = RefCell::new(Vec::new());
    let error = lb
        .execute_with("s", no_jitter().max_retries(5), async |i| {
            times.borrow_mut().push((i.id.clone(), start.elapsed().as_millis()));
            Err::<(), _>(RequestError::service("boom"))
        })
        .await
        .unwrap_err();
    let times = times.into_inner();
    let at: Vec<_> = times.iter().map(|(_, at)| *at).collect();
    assert_eq!(at, [0, 0, 2000, 2000, 4200, 4200], "2 s, then 2 s · 1.1");
    for round in times.chunks(2) {
        assert_ne!(round[0].0, round[1].0, "nobody twice in a round");
    }
    assert!(matches!(error, Error::MaxRetriesExceeded { .. }), "{error}");
    assert_eq!(error.attempts().len(), 6);
    assert_eq!(error.source().unwrap().to_string(), "service: boom");
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_retried_is_not() {
    let (lb, _) = balancer(&["a", "b"]).await;
    for (make, name) in [
        (RequestError::rejected as fn(&'static str) -> RequestError, "rejected"),
        (RequestError::unsuitable, "unsuitable"),
    ] {
        let error = lb.execute("s", async |_| Err::<(), _>(make("no"))).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (name, 1));
        assert_eq!(error.last_error().unwrap().message(), "no");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_idempotent_is_repeated_only_if_it_was_not_processed() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let once = CallOptions::new().idempotent(false);
    for (make, retried) in [
        (RequestError::timeout as fn(&'static str) -> RequestError, false),
        (RequestError::service, false),
        (RequestError::unreachable, true),
        (RequestError::limit_exceeded, true),
        (RequestError::unusable, true),
    ] {
        let result = lb
            .execute_with("s", once.clone(), async |i| if i.attempt() == 1 { Err(make("x")) } else { Ok(()) })
            .await;
        assert_eq!(result.is_ok(), retried, "{result:?}");
        if let Err(error) = result {
            assert!(matches!(error, Error::NotIdempotent { .. }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_a_timeout() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let options = no_jitter().attempt_timeout(SECOND).max_retries(1);
    let error = lb
        .execute_with("s", options, async |_| std::future::pending::<Result<(), RequestError>>().await)
        .await
        .unwrap_err();
    assert!(matches!(error.cause(), Some(Cause::AttemptTimeout(t)) if *t == SECOND), "{error:?}");
    assert_eq!(error.call().elapsed, 2 * SECOND);
    assert_eq!(error.source().unwrap().to_string(), "no answer within 1s");
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.failures["timeout"] == 1 && i.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_running_attempt() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let start = Instant::now();
    let error = lb
        .execute_with("s", no_jitter().deadline(3 * SECOND), async |i| {
            assert_eq!(i.time_left(), Some(3 * SECOND));
            std::future::pending::<Result<(), RequestError>>().await
        })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }));
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_sleep_is_begun_that_cannot_end_in_time() {
    let (lb, _) = balancer(&["a"]).await;
    let start = Instant::now();
    let error = lb
        .execute_with("s", no_jitter().deadline(SECOND), async |_| {
            Err::<(), _>(RequestError::service("boom"))
        })
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(2 * SECOND));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn retry_after_rests_the_instance_for_all_callers() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let limit = |i: &Instance| {
        if i.id == "a" {
            Err(RequestError::limit_exceeded("429").with_retry_after(10 * SECOND))
        } else {
            Ok(i.id.clone())
        }
    };
    assert_eq!(lb.execute("s", async |i| limit(&i)).await.unwrap(), "b");
    for _ in 0..10 {
        let traced = lb.execute_traced("s", CallOptions::new(), async |i| limit(&i)).await.unwrap();
        assert_eq!(
            (traced.value.as_str(), traced.trail.len()),
            ("b", 1),
            "`a` is skipped, not tried and failed"
        );
    }
    let stats = lb.stats("s").unwrap();
    assert_eq!(stats.instances[0].resting_for, Some(10 * SECOND));
    tokio::time::sleep(10 * SECOND).await;
    let traced = lb.execute_traced("s", CallOptions::new(), async |i| limit(&i)).await.unwrap();
    let traced2 = lb.execute_traced("s", CallOptions::new(), async |i| limit(&i)).await.unwrap();
    assert_eq!(traced.trail.len() + traced2.trail.len(), 3, "the rest is over: `a` was tried again");
}

#[tokio::test(start_paused = true)]
async fn a_quota_group_rests_together() {
    let registry = MemoryRegistry::new();
    for (id, group) in [("a1", "acc"), ("a2", "acc"), ("z", "other")] {
        registry.register("s", Instance::new(id).with_quota_group(group)).await.unwrap();
    }
    let lb = LoadBalancer::builder(registry).strategy(RoundRobin::new().starting_at(0)).build();
    let tried = RefCell::new(Vec::new());
    let run = async || {
        lb.execute("s", async |i| {
            tried.borrow_mut().push(i.id.clone());
            if i.id == "z" {
                Ok(())
            } else {
                Err(RequestError::limit_exceeded("429").with_retry_after(SECOND))
            }
        })
        .await
    };
    run().await.unwrap();
    assert_eq!(tried.take(), ["a1", "z"], "another key of the same account is not even tried");
    run().await.unwrap();
    assert_eq!(tried.take(), ["z"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_rest_the_call_waits_for_the_first() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let start = Instant::now();
    let first = Cell::new(true);
    let (id, at) = lb
        .execute("s", async |i| {
            if start.elapsed().is_zero() {
                first.set(false);
                let after = if i.id == "a" { 7 } else { 5 };
                return Err(RequestError::limit_exceeded("429").with_retry_after(after * SECOND));
            }
            Ok((i.id.clone(), start.elapsed()))
        })
        .await
        .unwrap();
    assert_eq!((id.as_str(), at), ("b", 5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_rest_of_days_parks_and_never_sleeps() {
    let (lb, _) = balancer(&["a"]).await;
    let start = Instant::now();
    let days = Duration::from_secs(3 * 86_400);
    for expected in [1, 0] {
        let error = lb
            .execute("s", async |_| Err::<(), _>(RequestError::limit_exceeded("429").with_retry_after(days)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::NoAvailableInstance { reason: Unavailable::Resting, .. }),
            "{error:?}"
        );
        assert_eq!(error.retry_after(), Some(days));
        assert_eq!(error.attempts().len(), expected);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_are_served_in_order() {
    let (lb, registry) = balancer(&["a"]).await;
    registry.set_override("s", "a", Override::NONE).await.unwrap();
    lb.execute("s", async |i| {
        if i.attempt() == 1 { Err(RequestError::service("x").with_retry_after(2 * SECOND)) } else { Ok(()) }
    })
    .await
    .unwrap();
    let _ = lb
        .execute_with("s", CallOptions::new().max_retries(0), async |_| {
            Err::<(), _>(RequestError::service("x").with_retry_after(30 * SECOND))
        })
        .await;
    let served = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut callers = Vec::new();
    for n in 0..20 {
        let (lb, served) = (lb.clone(), served.clone());
        callers.push(tokio::spawn(async move {
            lb.execute("s", async |_| {
                served.lock().unwrap().push(n);
                Ok::<_, RequestError>(())
            })
            .await
        }));
        tokio::task::yield_now().await;
    }
    assert_eq!(lb.stats("s").unwrap().waiting, 20);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(lb.stats("s").unwrap().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let (lb, registry) = balancer(&["a"]).await;
    let config = ServiceConfig::builder().max_waiting(1).build().unwrap();
    registry.set_config("s", config).await.unwrap();
    let options = CallOptions::new().max_retries(0);
    let resting = RequestError::service("x").with_retry_after(30 * SECOND);
    let resting = Cell::new(Some(resting));
    let _ = lb.execute_with("s", options, async |_| Err::<(), _>(resting.take().unwrap())).await;
    let waiting = {
        let lb = lb.clone();
        tokio::spawn(async move { lb.execute("s", async |_| Ok::<_, RequestError>(())).await })
    };
    tokio::task::yield_now().await;
    let error = lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap_err();
    assert!(matches!(error, Error::Overloaded { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(30 * SECOND));
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_an_error_at_once() {
    let (lb, registry) = balancer(&["a"]).await;
    let call = async |service: &str| {
        let error = lb.execute(service, async |_| Ok::<_, RequestError>(())).await.unwrap_err();
        let Error::NoAvailableInstance { reason, .. } = error else { panic!("{error}") };
        reason
    };
    assert_eq!(call("nobody-has-heard-of-it").await, Unavailable::Unknown);
    registry.set_config("empty", ServiceConfig::default()).await.unwrap();
    assert_eq!(call("empty").await, Unavailable::Empty);
    registry.set_override("s", "a", Override::drain()).await.unwrap();
    assert_eq!(call("s").await, Unavailable::Drained);
    registry.set_override("s", "a", Override::weight(0)).await.unwrap();
    assert_eq!(call("s").await, Unavailable::Drained);
    assert!(lb.stats("nobody-has-heard-of-it").is_none());
}

#[tokio::test(start_paused = true)]
async fn wait_for_ready_waits_for_the_first_instance() {
    let (lb, registry) = balancer(&[]).await;
    let start = Instant::now();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let lb = lb.clone();
            tokio::spawn(async move {
                let options = CallOptions::new().wait_for_ready(true);
                lb.execute_with("s", options, async |i| Ok::<_, RequestError>(i.id.clone())).await
            })
        })
        .collect();
    tokio::time::sleep(3 * SECOND).await;
    registry.register("s", Instance::new("late")).await.unwrap();
    for caller in waiting {
        assert_eq!(caller.await.unwrap().unwrap(), "late");
    }
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_unusable_instance_is_set_aside_for_longer_each_time() {
    let (lb, registry) = balancer(&["a", "b"]).await;
    let bad_key = |i: &Instance| if i.id == "a" { Err(RequestError::unusable("401")) } else { Ok(()) };
    let mut gaps = Vec::new();
    for _ in 0..3 {
        lb.execute("s", async |i| bad_key(&i)).await.unwrap();
        lb.execute("s", async |i| bad_key(&i)).await.unwrap();
        let rest = lb.stats("s").unwrap().instances[0].resting_for.unwrap();
        gaps.push(rest.as_secs());
        tokio::time::sleep(rest).await;
    }
    assert_eq!(gaps, [60, 120, 240]);
    lb.execute("s", async |i| bad_key(&i)).await.unwrap();
    lb.execute("s", async |i| bad_key(&i)).await.unwrap();
    // The operator puts a new key in: at once it counts as good.
    registry.register("s", Instance::new("a").with_metadata("key", "new")).await.unwrap();
    let stats = lb.stats("s").unwrap();
    assert_eq!(stats.instances[0].resting_for, None);
    assert_eq!(stats.instances[0].failures["unusable"], 4, "counters stay");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_seen_by_the_next_pick() {
    let (lb, registry) = balancer(&["a"]).await;
    let pick = async || lb.execute("s", async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap();
    assert_eq!(pick().await, "a");
    registry.register("s", Instance::new("b")).await.unwrap();
    registry.deregister("s", "a").await.unwrap();
    assert_eq!(pick().await, "b");
    registry.replace_all("s", [Instance::new("x")]).unwrap();
    assert_eq!(pick().await, "x");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_anywhere_leaks_nothing() {
    let (lb, _) = balancer(&["a", "b"]).await;
    for steps in 0..12 {
        let call = lb.execute("s", async |i| {
            tokio::task::yield_now().await;
            tokio::time::sleep(SECOND).await;
            if i.attempt() < 5 { Err(RequestError::service("x")) } else { Ok(()) }
        });
        let _ = tokio::time::timeout(steps * SECOND / 2, call).await;
        let stats = lb.stats("s").unwrap();
        assert!(stats.instances.iter().all(|i| i.in_flight == 0), "after {steps}: {stats:?}");
        assert_eq!(stats.waiting, 0);
    }
    let cancelled: u64 = lb.stats("s").unwrap().instances.iter().map(|i| i.cancelled).sum();
    assert!(cancelled > 0);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_closure_leaks_nothing() {
    let (lb, _) = balancer(&["a"]).await;
    for sync in [true, false] {
        let lb = lb.clone();
        let call = tokio::spawn(async move {
            lb.execute("s", |_| {
                assert!(!sync, "in the closure");
                async { if true { panic!("in the future") } else { Ok::<(), RequestError>(()) } }
            })
            .await
        });
        assert!(call.await.unwrap_err().is_panic());
    }
    let stats = &lb.stats("s").unwrap().instances[0];
    assert_eq!((stats.in_flight, stats.cancelled), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_until_it_ends() {
    let (lb, _) = balancer(&["a"]).await;
    let stream = lb.execute("s", async |picked| Ok::<_, RequestError>(picked)).await.unwrap();
    assert_eq!(lb.stats("s").unwrap().instances[0].in_flight, 1);
    stream.first_byte();
    stream.fail(Failure::service());
    stream.fail(Failure::service());
    drop(stream);
    let stats = &lb.stats("s").unwrap().instances[0];
    assert_eq!((stats.in_flight, stats.failures["service"]), (0, 1), "a stream that dies counts once");
}

#[tokio::test(start_paused = true)]
async fn pick_is_for_those_who_cannot_use_a_closure() {
    let (lb, _) = balancer(&["a"]).await;
    let options = CallOptions::new();
    lb.pick("s", &options).await.unwrap().finish();
    lb.pick("s", &options).await.unwrap().fail(Failure::timeout());
    drop(lb.pick("s", &options).await.unwrap());
    let stats = &lb.stats("s").unwrap().instances[0];
    assert_eq!((stats.requests, stats.in_flight, stats.cancelled), (3, 0, 1));
    assert_eq!(stats.failures, BTreeMap::from([("timeout", 1)]));
    let service = lb.service("s");
    assert!(service.try_pick(&options).is_ok());
    assert!(lb.service("unknown").try_pick(&options).is_err());
    assert!(lb.pick("unknown", &options).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_ok_can_be_a_failure_and_an_error_a_success() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let options = no_jitter().max_retries(1).classify(|result: &Result<u16, String>| match result {
        Ok(500..) => Some(Failure::service()),
        _ => None,
    });
    let status =
        lb.execute_with("s", options.clone(), async |i| Ok(if i.attempt() == 1 { 503 } else { 200 })).await;
    assert_eq!(status.unwrap(), 200);
    let error = lb.execute_with("s", options.clone(), async |_| Ok(503)).await.unwrap_err();
    assert!(matches!((&error, error.cause()), (Error::MaxRetriesExceeded { .. }, Some(Cause::Response))));
    let error = lb.execute_with("s", options, async |_| Err("404".to_owned())).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }));
    assert_eq!(error.into_last_error().unwrap(), "404");
}

#[tokio::test(start_paused = true)]
async fn without_budget_a_failover_waits_but_never_fails() {
    let (lb, registry) = balancer(&["a", "b", "c"]).await;
    let config = ServiceConfig::builder()
        .retry_budget(RetryBudgetConfig::new(0.0, 0.0, 0.0))
        .jitter(0.0)
        .build()
        .unwrap();
    registry.set_config("s", config).await.unwrap();
    let start = Instant::now();
    let tried = RefCell::new(Vec::new());
    lb.execute("s", async |i| {
        tried.borrow_mut().push((i.id.clone(), start.elapsed().as_millis()));
        if i.attempt() < 4 { Err(RequestError::service("x")) } else { Ok(()) }
    })
    .await
    .unwrap();
    let tried = tried.into_inner();
    assert_eq!(tried.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 2000, 4200, 6620]);
    assert_eq!(tried[..3].iter().map(|(id, _)| id.as_str()).collect::<String>(), "abc", "the round goes on");
}

#[tokio::test(start_paused = true)]
async fn bad_options_are_named_before_anything_is_tried() {
    let (lb, _) = balancer(&["a"]).await;
    for (options, field) in [
        (CallOptions::new().retry_backoff(f64::NAN), "retry_backoff"),
        (CallOptions::new().deadline(Duration::ZERO), "deadline"),
        (CallOptions::new().jitter(2.0), "jitter"),
        (CallOptions::new().retry_delay(Duration::MAX), "retry_delay"),
    ] {
        let error = lb
            .execute_with("s", options, async |_| -> Result<(), RequestError> { unreachable!() })
            .await
            .unwrap_err();
        assert!(matches!(error, Error::InvalidOptions { .. }));
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn declared_limits_are_kept() {
    let registry = MemoryRegistry::new();
    let limits = Limits::NONE.concurrency(2).requests_per_minute(600);
    registry.register("s", Instance::new("a").with_limits(limits)).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let (running, most) = (std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0)), Cell::new(0));
    let start = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            lb.execute("s", async |_| {
                let now = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                most.set(most.get().max(now));
                tokio::time::sleep(Duration::from_millis(1)).await;
                running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                Ok::<_, RequestError>(())
            })
        })
        .collect();
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(most.get(), 2);
    let elapsed = start.elapsed().as_secs_f64();
    assert!((9.0..9.6).contains(&elapsed), "10 a second, a burst of 10: {elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_with_a_fallback_service() {
    let registry = MemoryRegistry::new();
    registry.register("small", Instance::new("s1")).await.unwrap();
    registry.register("large", Instance::new("l1")).await.unwrap();
    let fallbacks = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ServiceConfig::builder().fallbacks(names).max_retries(3).build().unwrap()
    };
    registry.set_config("small", fallbacks(&["gone", "large"])).await.unwrap();
    let lb = LoadBalancer::new(registry.clone());
    let too_long = async |i: Picked<Instance>| match i.service() {
        "small" => Err(RequestError::unsuitable("context too long")),
        service => Ok(format!("{service}/{}", i.attempt())),
    };
    let traced = lb.execute_traced("small", CallOptions::new(), too_long).await.unwrap();
    assert_eq!(traced.value, "large/2");
    let trail: Vec<_> = traced.trail.iter().map(|a| (&*a.service, &*a.instance, a.why)).collect();
    assert_eq!(trail, [("small", "s1", Why::First), ("large", "l1", Why::Fallback)]);
    // Nobody left there is a reason, too; the call's own list takes the place of the configured one.
    registry.deregister("small", "s1").await.unwrap();
    assert_eq!(lb.execute("small", too_long).await.unwrap(), "large/1");
    let error = lb.execute_with("small", CallOptions::new().fallback("gone"), too_long).await.unwrap_err();
    assert!(matches!(error, Error::NoAvailableInstance { reason: Unavailable::Empty, .. }), "{error}");
    assert_eq!(error.service(), "small");
    // What the request itself is to blame for goes nowhere, and the retries of the call bound all services.
    let error = lb.execute("small", async |_| Err::<(), _>(RequestError::rejected("400"))).await.unwrap_err();
    assert_eq!(error.attempts().len(), 1);
    let error = lb.execute("small", async |_| Err::<(), _>(RequestError::service("500"))).await.unwrap_err();
    assert!(matches!(error, Error::MaxRetriesExceeded { .. }), "{error}");
    assert_eq!(error.attempts().len(), 4);
    let error = registry.set_config("small", fallbacks(&["small"])).await.unwrap_err();
    assert!(error.to_string().contains("fallbacks"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_unusable_there_is_nothing_to_wait_for() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let start = Instant::now();
    for attempts in [2, 0] {
        let error = lb.execute("s", async |_| Err::<(), _>(RequestError::unusable("401"))).await.unwrap_err();
        assert!(
            matches!(error, Error::NoAvailableInstance { reason: Unavailable::Unusable, .. }),
            "{error:?}"
        );
        assert_eq!(error.attempts().len(), attempts);
        assert_eq!(error.retry_after(), Some(60 * SECOND));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}
