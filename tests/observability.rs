//! What an operator sees: events with fields, no secrets, and silence while all is well.

use std::time::Duration;

use loadbalance::StrategySpec;
use loadbalance::prelude::*;
use loadbalance::strategy::RoundRobin;
use tracing::Level;

use crate::capture::{Capture, Seen};
use crate::scripted::Scripted;

#[path = "observability/capture.rs"]
mod capture;
#[path = "support/scripted.rs"]
mod scripted;
#[path = "observability/secrets.rs"]
mod secrets;

const SECOND: Duration = Duration::from_secs(1);

async fn balancer(ids: &[&str]) -> (LoadBalancer<Instance>, MemoryRegistry<Instance>) {
    let registry = MemoryRegistry::new();
    for id in ids {
        registry.register("s", Instance::new(*id)).await.unwrap();
    }
    let lb =
        LoadBalancer::builder(registry.clone()).strategy(RoundRobin::new().starting_at(0)).seed(7).build();
    (lb, registry)
}

/// The event of that message, which must be the only one.
#[track_caller]
fn only<'a>(events: &'a [Seen], level: Level, message: &str) -> &'a Seen {
    let found: Vec<_> = events.iter().filter(|seen| seen.field("message").contains(message)).collect();
    assert_eq!(found.len(), 1, "{message}: {events:#?}");
    assert_eq!(found[0].level, level, "{message}");
    found[0]
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_told_to_who_debugs() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let (capture, _guard) = Capture::start();
    lb.execute("s", async |i| {
        tokio::time::sleep(SECOND).await;
        if i.attempt() == 1 { Err(RequestError::service("boom").with_retry_after(SECOND)) } else { Ok(()) }
    })
    .await
    .unwrap();
    let events = capture.take();
    let failed = only(&events, Level::DEBUG, "attempt failed");
    for (name, value) in [
        ("service", "s"),
        ("instance", "a"),
        ("attempt", "1"),
        ("cause", "service"),
        ("elapsed", "1s"),
        ("retry_after", "Some(1s)"),
    ] {
        assert_eq!(failed.field(name), value, "{name}");
    }
    let rests = only(&events, Level::DEBUG, "rests");
    assert_eq!((rests.field("instance"), rests.field("cause")), ("a", "service"));
    assert!(
        events.iter().all(|seen| seen.level >= Level::DEBUG),
        "a call that worked in the end: {events:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_set_aside_is_a_warning() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let (capture, _guard) = Capture::start();
    lb.execute("s", async |i| if i.id == "a" { Err(RequestError::unusable("401")) } else { Ok(()) })
        .await
        .unwrap();
    let events = capture.at(Level::WARN);
    let aside = only(&events, Level::WARN, "set aside");
    for (name, value) in
        [("service", "s"), ("instance", "a"), ("attempt", "1"), ("cause", "unusable"), ("time", "60s")]
    {
        assert_eq!(aside.field(name), value, "{name}");
    }
    assert_eq!(events.len(), 1);

    // The same from a proxy's hands.
    let picked = lb.pick("s", &CallOptions::new()).await.unwrap();
    picked.fail(Failure::unusable());
    let events = capture.at(Level::WARN);
    assert_eq!(only(&events, Level::WARN, "set aside").field("instance"), "b");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_is_a_warning() {
    let (lb, registry) = balancer(&["a", "b"]).await;
    let (capture, _guard) = Capture::start();
    let options = CallOptions::new().max_retries(19).jitter(0.0);
    lb.execute_with("s", options, async |_| Err::<(), _>(RequestError::timeout("slow"))).await.unwrap_err();
    let events = capture.at(Level::WARN);
    let gave_up = only(&events, Level::WARN, "gave up");
    for (name, value) in [
        ("service", "s"),
        ("instance", "b"),
        ("attempts", "20"),
        ("cause", "timeout"),
        ("kind", "max_retries_exceeded"),
    ] {
        assert_eq!(gave_up.field(name), value, "{name}");
    }
    assert!(gave_up.field("trail").starts_with("12 earlier, a: timeout"), "{gave_up:?}");
    assert!(gave_up.field("error").contains("`max_retries`"));

    registry.set_override("s", "a", Override::drain()).await.unwrap();
    registry.set_override("s", "b", Override::drain()).await.unwrap();
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap_err();
    lb.pick("unknown", &CallOptions::new()).await.unwrap_err();
    let events = capture.at(Level::WARN);
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_eq!(events[0].field("kind"), "no_available_instance");
    assert_eq!((events[0].field("instance"), events[0].field("cause")), ("", "none"));
    assert!(events[0].field("error").contains("undrain one"));
    assert_eq!(events[1].field("service"), "unknown");
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_faults_are_no_warning() {
    let (lb, _) = balancer(&["a", "b"]).await;
    let (capture, _guard) = Capture::start();
    for make in [RequestError::rejected as fn(&'static str) -> RequestError, RequestError::unsuitable] {
        lb.execute("s", async |_| Err::<(), _>(make("no"))).await.unwrap_err();
    }
    let events = capture.take();
    assert_eq!(events.iter().filter(|seen| seen.field("message") == "attempt failed").count(), 2);
    assert!(events.iter().all(|seen| seen.level >= Level::DEBUG), "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn success_is_silent() {
    let (capture, _guard) = Capture::start();
    let (lb, registry) = balancer(&["a", "b"]).await;
    for n in 0..300 {
        lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
        if n % 100 == 0 {
            registry.register("s", Instance::new("c")).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(lb.stats("s").is_none(), "let go by now");
    let events = capture.take();
    assert!(events.iter().all(|seen| seen.level >= Level::DEBUG), "{events:#?}");
    assert!(events.len() < 20, "and nothing per call: {events:#?}");
    assert!(only(&events, Level::DEBUG, "idle").field("service") == "s");
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_cannot_be_built_is_a_warning() {
    let (lb, registry) = balancer(&["a"]).await;
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    let (capture, _guard) = Capture::start();
    let spec = StrategySpec::new("no_such_strategy");
    registry.set_config("s", ServiceConfig::builder().strategy(spec).build().unwrap()).await.unwrap();
    registry.register("s", Instance::new("b")).await.unwrap();
    let events = capture.at(Level::WARN);
    assert_eq!(events.len(), 1, "told once, not at every change: {events:#?}");
    let warning = only(&events, Level::WARN, "strategy cannot be built");
    assert_eq!((warning.field("service"), warning.field("in_force")), ("s", "round_robin"));
    assert!(warning.field("error").contains("no_such_strategy"), "{warning:?}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_gone_is_a_warning() {
    let registry = Scripted::new(&["a"]);
    let lb = LoadBalancer::new(registry.clone());
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    let (capture, _guard) = Capture::start();
    registry.die();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = capture.at(Level::WARN);
    assert_eq!(only(&events, Level::WARN, "registry is gone").field("service"), "s");
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(capture.at(Level::WARN).is_empty(), "told once, and its last snapshot serves");
}
