//! What comes into being with a call, and goes again: look-ups, watches, tasks.

use std::error::Error as _;
use std::time::Duration;

use futures_util::future::join_all;
use loadbalance::prelude::*;
use loadbalance::{RegistryError, Unavailable};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use crate::scripted::{Answer, Scripted};

#[path = "support/scripted.rs"]
mod scripted;

const SECOND: Duration = Duration::from_secs(1);

async fn call(lb: &LoadBalancer<Instance>) -> Result<String, Error<RequestError>> {
    lb.execute("s", async |i| Ok(i.id.clone())).await
}

/// Lets tasks run that are ready, without time passing.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_is_let_go_and_comes_back() {
    let registry = Scripted::new(&["a"]);
    let lb = LoadBalancer::builder(registry.clone()).idle_timeout(10 * SECOND).build();
    for id in ["a", "b", "c"] {
        registry.put("s", &[id]);
        assert_eq!(call(&lb).await.unwrap(), id);
        assert!(registry.watches("s") > 0);
        tokio::time::sleep(25 * SECOND).await;
        assert!(lb.stats("s").is_none());
        assert_eq!((registry.watches("s"), tasks()), (0, 0), "nothing follows the registry any more");
    }
    call(&lb).await.unwrap();
    registry.put("s", &["d"]);
    settle().await;
    assert_eq!(call(&lb).await.unwrap(), "d", "the new watch works");
    assert_eq!(registry.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_service_in_use_is_kept() {
    let registry = Scripted::new(&["a"]);
    let lb = LoadBalancer::builder(registry.clone()).idle_timeout(10 * SECOND).build();
    for _ in 0..20 {
        call(&lb).await.unwrap();
        tokio::time::sleep(9 * SECOND).await;
    }
    assert_eq!(lb.stats("s").unwrap().instances[0].requests, 20);
    assert_eq!(registry.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handle_keeps_its_service() {
    let registry = Scripted::new(&["a"]);
    let lb = LoadBalancer::builder(registry.clone()).idle_timeout(10 * SECOND).build();
    let handle = lb.service("s");
    handle.execute(async |_| Ok::<_, RequestError>(())).await.unwrap();
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(handle.stats().unwrap().instances[0].requests, 1);
    registry.put("s", &["b"]);
    settle().await;
    let picked = handle.try_pick(&CallOptions::new()).unwrap();
    assert_eq!(picked.id, "b", "it goes on following the registry");
    assert!(lb.stats("s").is_some(), "and calls by name share it");
    picked.finish();
    drop(handle);
    tokio::time::sleep(25 * SECOND).await;
    assert!(lb.stats("s").is_none());
    assert_eq!(registry.watches("s"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_running_request_keeps_its_service() {
    let registry = Scripted::new(&["a", "b"]);
    let lb = LoadBalancer::builder(registry.clone()).idle_timeout(10 * SECOND).build();
    let stream = lb.pick("s", &CallOptions::new()).await.unwrap();
    tokio::time::sleep(100 * SECOND).await;
    // Also if its instance has left meanwhile.
    let stays = if stream.id == "a" { "b" } else { "a" };
    registry.put("s", &[stays]);
    tokio::time::sleep(100 * SECOND).await;
    let stats = lb.stats("s").expect("a request is running");
    assert_eq!(stats.instances.iter().map(|i| i.in_flight).sum::<u64>(), 1);
    stream.finish();
    tokio::time::sleep(25 * SECOND).await;
    assert!(lb.stats("s").is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_balancer_ends_its_tasks() {
    let registry = Scripted::new(&["a"]);
    for n in 0..10 {
        registry.put(&format!("s{n}"), &["a"]);
    }
    let before = tasks();
    let lb = LoadBalancer::new(registry.clone());
    let clone = lb.clone();
    for n in 0..10 {
        lb.execute(&format!("s{n}"), async |_| Ok::<_, RequestError>(())).await.unwrap();
    }
    let held = lb.pick("s3", &CallOptions::new()).await.unwrap();
    settle().await;
    assert_eq!(tasks(), before + 10, "one per service");
    drop(lb);
    settle().await;
    assert_eq!(tasks(), before + 10, "there is a clone");
    drop(clone);
    settle().await;
    assert_eq!(tasks(), before);
    assert!((0..10).all(|n| registry.watches(&format!("s{n}")) == 0));
    // What outlives the balancer still works, and tells nobody.
    assert_eq!(held.id, "a");
    held.fail(Failure::service());
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_balancer_outlives_the_runtime_of_its_first_call() {
    let memory = MemoryRegistry::new();
    memory.replace_all("s", [Instance::new("a")]).unwrap();
    let scripted = Scripted::new(&["a"]);
    let first = runtime();
    let (near, far) = first.block_on(async {
        let (near, far) = (LoadBalancer::new(memory.clone()), LoadBalancer::new(scripted.clone()));
        call(&near).await.unwrap();
        call(&far).await.unwrap();
        (near, far)
    });
    drop(first);
    memory.replace_all("s", [Instance::new("b")]).unwrap();
    scripted.put("s", &["b"]);
    // Outside of any runtime, too.
    let picked = near.service("s").try_pick(&CallOptions::new()).unwrap();
    assert_eq!(picked.id, "b");
    picked.finish();

    runtime().block_on(async {
        assert_eq!(call(&near).await.unwrap(), "b");
        // Written while nobody followed: this call starts the task again, the next one sees it.
        call(&far).await.unwrap();
        settle().await;
        assert_eq!(call(&far).await.unwrap(), "b");
        scripted.put("s", &["c"]);
        settle().await;
        assert_eq!(call(&far).await.unwrap(), "c");
        assert_eq!(tasks(), 2);
        drop((near, far));
        settle().await;
        assert_eq!(tasks(), 0);
    });
    assert_eq!((scripted.asked(), scripted.watches("s")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_look_up_breaks_nothing() {
    let registry = Scripted::new(&["a"]);
    registry.answer(Answer::After(10 * SECOND));
    let lb = LoadBalancer::new(registry.clone());
    let start = Instant::now();
    let second = {
        let lb = lb.clone();
        tokio::spawn(async move {
            tokio::time::sleep(2 * SECOND).await;
            call(&lb).await
        })
    };
    tokio::time::timeout(3 * SECOND, call(&lb)).await.unwrap_err();
    assert_eq!(second.await.unwrap().unwrap(), "a", "who waited with it asks again");
    assert_eq!((registry.asked(), start.elapsed()), (2, 13 * SECOND));

    let lb = LoadBalancer::new(registry.clone());
    tokio::time::timeout(SECOND, call(&lb)).await.unwrap_err();
    assert!(format!("{lb:?}").contains("services: 0, looked_up: 0"), "{lb:?}");
    assert_eq!(call(&lb).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_fails_is_an_error_and_asked_again() {
    let registry = Scripted::new(&["a"]);
    registry.answer(Answer::Fails(SECOND));
    let lb = LoadBalancer::new(registry.clone());
    for asked in 1..=3 {
        let error = call(&lb).await.unwrap_err();
        assert!(matches!(error, Error::Registry { error: RegistryError::Backend { .. }, .. }), "{error:?}");
        assert_eq!((error.kind(), error.service(), error.attempts().len()), ("registry", "s", 0));
        assert!(error.to_string().contains("\"s\""), "{error}");
        let source = error.source().unwrap();
        assert!(source.to_string().contains("cannot watch"), "{source}");
        assert_eq!(source.source().unwrap().to_string(), "the store is on fire");
        assert_eq!(registry.asked(), asked);
    }
    registry.answer(Answer::After(Duration::ZERO));
    assert_eq!(call(&lb).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_look_up() {
    let registry = Scripted::new(&["a"]);
    registry.answer(Answer::Fails(5 * SECOND));
    let lb = LoadBalancer::new(registry.clone());
    let start = Instant::now();
    let results = join_all((0..50).map(|_| call(&lb))).await;
    assert!(results.iter().all(|result| matches!(result, Err(Error::Registry { .. }))));
    assert_eq!((registry.asked(), start.elapsed()), (1, 5 * SECOND), "the error is shared, too");
    registry.answer(Answer::After(5 * SECOND));
    let results = join_all((0..50).map(|_| call(&lb))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((registry.asked(), start.elapsed()), (2, 10 * SECOND));
    assert_eq!(lb.stats("s").unwrap().instances[0].requests, 50, "all were served by one pool");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_look_up() {
    let registry = Scripted::new(&["a"]);
    registry.answer(Answer::After(3600 * SECOND));
    let config = ServiceConfig::builder().deadline(7 * SECOND).build().unwrap();
    let lb = LoadBalancer::builder(registry).config(config).build();
    let start = Instant::now();
    let error = call(&lb).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    assert_eq!(start.elapsed(), 7 * SECOND);
    let options = CallOptions::new().deadline(2 * SECOND);
    let error = lb.pick("s", &options).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    assert_eq!(start.elapsed(), 9 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn unknown_names_leave_nothing_behind() {
    let memory = MemoryRegistry::<Instance>::new();
    let lb = LoadBalancer::new(memory.clone());
    let before = tasks();
    for batch in 0..10 {
        let names: Vec<_> = (0..100).map(|n| format!("no-such-service-{}", batch * 100 + n)).collect();
        let calls =
            names.iter().chain(&names).map(|name| lb.execute(name, async |_| Ok::<_, RequestError>(())));
        for result in join_all(calls).await {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::NoAvailableInstance { reason: Unavailable::Unknown, .. }),
                "{error}"
            );
        }
    }
    settle().await;
    assert_eq!(tasks(), before);
    assert!(format!("{memory:?}").contains("services: 0"), "{memory:?}");
    assert!(format!("{lb:?}").contains("services: 0, looked_up: 0"), "{lb:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_service_share_one_watch() {
    let registry = Scripted::new(&[]);
    let lb = LoadBalancer::new(registry.clone());
    let waiting: Vec<_> = (0..10)
        .map(|n| {
            let lb = lb.clone();
            tokio::spawn(async move {
                tokio::time::sleep(n * SECOND).await;
                let options = CallOptions::new().wait_for_ready(true);
                lb.execute_with("s", options, async |i| Ok::<_, RequestError>(i.id.clone())).await
            })
        })
        .collect();
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!((registry.asked(), tasks()), (1, 11));
    waiting[0].abort();
    registry.put("s", &["late"]);
    for (n, caller) in waiting.into_iter().enumerate() {
        assert!(caller.await.map_or(n == 0, |result| result.unwrap() == "late"));
    }
    assert_eq!(call(&lb).await.unwrap(), "late");
    assert_eq!(registry.asked(), 1);
    assert_eq!(lb.stats("s").unwrap().instances[0].requests, 10);
}
