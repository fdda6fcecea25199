//! Active health checks: who fails them is left out before a request finds out, and comes back when it passes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use loadbalance::prelude::*;
use loadbalance::{CheckFailed, HealthCheck, HealthCheckConfig, OutlierDetection, TcpConnect};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// What each instance answers to a check; those that are not mentioned are well.
#[derive(Clone, Default)]
struct Fake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    answers: Mutex<HashMap<String, Answer>>,
    checks: Mutex<Vec<(Instant, String)>>,
    running: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Answer {
    Well,
    Ill,
    Hangs,
    Panics,
    Slow(Duration),
}

impl Fake {
    fn set(&self, id: &str, answer: Answer) {
        self.0.answers.lock().unwrap().insert(id.into(), answer);
    }

    fn checks(&self, id: &str) -> usize {
        self.0.checks.lock().unwrap().iter().filter(|(_, checked)| checked == id).count()
    }

    fn all(&self) -> usize {
        self.0.checks.lock().unwrap().len()
    }
}

struct Running<'a>(&'a Inner);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl HealthCheck<Instance> for Fake {
    async fn check(&self, service: &str, instance: &Instance) -> Result<(), CheckFailed> {
        assert_eq!(service, "cart");
        self.0.checks.lock().unwrap().push((Instant::now(), instance.id.clone()));
        let running = self.0.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.peak.fetch_max(running, Ordering::Relaxed);
        let _running = Running(&self.0);
        let answer = self.0.answers.lock().unwrap().get(&instance.id).copied().unwrap_or(Answer::Well);
        match answer {
            Answer::Well => Ok(()),
            Answer::Ill => Err(CheckFailed::new("status 503")),
            Answer::Hangs => std::future::pending().await,
            Answer::Panics => panic!("a broken check"),
            Answer::Slow(time) => {
                sleep(time).await;
                Ok(())
            }
        }
    }
}

async fn registry(ids: impl IntoIterator<Item = String>) -> MemoryRegistry<Instance> {
    let registry = MemoryRegistry::new();
    for id in ids {
        registry.register("cart", Instance::new(id)).await.unwrap();
    }
    registry
}

fn named(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn checks(interval: Duration) -> HealthCheckConfig {
    let mut checks = HealthCheckConfig::DEFAULT;
    checks.interval = interval;
    checks
}

fn config(checks: HealthCheckConfig) -> ServiceConfig {
    ServiceConfig::builder().health_check(checks).build().unwrap()
}

async fn called(lb: &LoadBalancer<Instance>) -> String {
    lb.execute("cart", async |to| Ok::<_, RequestError>(to.id.clone())).await.unwrap()
}

/// Whom ten calls reach.
async fn reached(lb: &LoadBalancer<Instance>) -> Vec<String> {
    let mut reached = Vec::new();
    for _ in 0..10 {
        reached.push(called(lb).await);
    }
    reached.sort();
    reached.dedup();
    reached
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_left_out_before_a_request_finds_out_and_comes_back() {
    let fake = Fake::default();
    fake.set("a", Answer::Ill);
    let lb = LoadBalancer::builder(registry(named(&["a", "b"])).await)
        .config(config(checks(SECOND)))
        .health_check(fake.clone())
        .build();

    assert_eq!(reached(&lb).await, ["a", "b"], "who was never checked is used");
    sleep(5 * SECOND).await;
    assert_eq!(reached(&lb).await, ["b"]);
    let stats = lb.stats("cart").unwrap();
    assert_eq!(stats.ejected, 1);
    let why = stats.instances[0].last_ejection.unwrap().to_string();
    assert!(why.ends_with("health checks in a row failed"), "{why}");

    sleep(600 * SECOND).await;
    assert_eq!(reached(&lb).await, ["b"], "for as long as checks fail");

    fake.set("a", Answer::Well);
    sleep(4 * SECOND).await;
    assert_eq!(reached(&lb).await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_switches_them_off_while_it_runs() {
    let fake = Fake::default();
    fake.set("a", Answer::Ill);
    let registry = registry(named(&["a", "b"])).await;
    registry.set_config("cart", config(checks(SECOND))).await.unwrap();
    let lb = LoadBalancer::builder(registry.clone()).health_check(fake.clone()).build();
    called(&lb).await;
    sleep(5 * SECOND).await;
    assert_eq!(reached(&lb).await, ["b"]);

    registry.set_config("cart", config(HealthCheckConfig::OFF)).await.unwrap();
    assert_eq!(reached(&lb).await, ["a", "b"], "who was out for its checks is back at once");
    sleep(2 * SECOND).await;
    let before = fake.all();
    sleep(60 * SECOND).await;
    assert_eq!(fake.all(), before, "nobody is checked any more");

    registry.set_config("cart", config(checks(SECOND))).await.unwrap();
    sleep(6 * SECOND).await;
    assert_eq!(reached(&lb).await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn outlier_detection_off_does_not_bring_back_who_fails_its_checks() {
    let fake = Fake::default();
    fake.set("a", Answer::Ill);
    let registry = registry(named(&["a", "b"])).await;
    let lb = LoadBalancer::builder(registry.clone())
        .config(config(checks(SECOND)))
        .health_check(fake.clone())
        .build();
    called(&lb).await;
    sleep(5 * SECOND).await;
    let off = ServiceConfig::builder()
        .health_check(checks(SECOND))
        .outlier_detection(OutlierDetection::OFF)
        .build()
        .unwrap();
    registry.set_config("cart", off).await.unwrap();
    assert_eq!(reached(&lb).await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_panics_has_failed_and_disturbs_no_other() {
    let fake = Fake::default();
    fake.set("hangs", Answer::Hangs);
    fake.set("panics", Answer::Panics);
    let lb = LoadBalancer::builder(registry(named(&["hangs", "panics", "well-1", "well-2"])).await)
        .config(config(checks(SECOND)))
        .health_check(fake.clone())
        .build();
    called(&lb).await;
    sleep(12 * SECOND).await;
    assert_eq!(reached(&lb).await, ["well-1", "well-2"]);
    assert!(fake.checks("well-1") >= 9, "{}", fake.checks("well-1"));
    assert!(fake.checks("panics") >= 9, "it is checked again and again");
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_their_checks_calls_go_on() {
    let fake = Fake::default();
    for id in ["a", "b", "c"] {
        fake.set(id, Answer::Ill);
    }
    let lb = LoadBalancer::builder(registry(named(&["a", "b", "c"])).await)
        .config(config(checks(SECOND)))
        .health_check(fake)
        .build();
    called(&lb).await;
    sleep(10 * SECOND).await;
    assert!(lb.stats("cart").unwrap().panic, "it is more likely the checks that are wrong");
    assert_eq!(reached(&lb).await, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn checks_are_spread_and_bounded() {
    let fake = Fake::default();
    let ids: Vec<_> = (0..1000).map(|n| format!("cart-{n}")).collect();
    for id in &ids {
        fake.set(id, Answer::Slow(Duration::from_millis(100)));
    }
    let lb = LoadBalancer::builder(registry(ids.clone()).await)
        .config(config(checks(10 * SECOND)))
        .health_check(fake.clone())
        .seed(7)
        .build();
    called(&lb).await;
    sleep(35 * SECOND).await;
    let peak = fake.0.peak.load(Ordering::Relaxed);
    assert!(peak <= 64, "{peak} at once");
    let begun: Vec<_> = ids.iter().map(|id| fake.checks(id)).collect();
    assert!(begun.iter().all(|n| (2..=5).contains(n)), "{begun:?}");
    let all = fake.0.checks.lock().unwrap();
    let first = all[0].0;
    let mut per_second = [0_usize; 40];
    for (at, _) in &*all {
        per_second[(*at - first).as_secs() as usize] += 1;
    }
    assert!(per_second[..30].iter().all(|n| (40..=200).contains(n)), "{per_second:?}");
}

#[tokio::test(start_paused = true)]
async fn they_end_with_the_balancer_and_begin_for_newcomers() {
    let fake = Fake::default();
    let registry = registry(named(&["a"])).await;
    let lb = LoadBalancer::builder(registry.clone())
        .config(config(checks(SECOND)))
        .health_check(fake.clone())
        .build();
    assert_eq!(fake.all(), 0, "nobody has called yet");
    called(&lb).await;
    registry.register("cart", Instance::new("b")).await.unwrap();
    sleep(4 * SECOND).await;
    assert!(fake.checks("b") >= 1);
    registry.deregister("cart", "a").await.unwrap();
    sleep(2 * SECOND).await;
    let before = fake.checks("a");
    sleep(10 * SECOND).await;
    assert_eq!(fake.checks("a"), before, "who has gone is not checked");

    drop(lb);
    sleep(SECOND).await;
    let before = fake.all();
    sleep(60 * SECOND).await;
    assert_eq!(fake.all(), before);
}

#[tokio::test(start_paused = true)]
async fn a_passing_check_does_not_end_what_requests_have_shown() {
    let fake = Fake::default();
    let lb = LoadBalancer::builder(registry(named(&["a", "b"])).await)
        .config(config(checks(SECOND)))
        .health_check(fake.clone())
        .build();
    // It accepts connections, and answers each request with an error.
    let mut at_a = 0;
    for _ in 0..40 {
        let answer =
            lb.execute("cart", async |to| {
                if to.id == "a" { Err(RequestError::service("500")) } else { Ok(to.id.clone()) }
            })
            .await;
        assert_eq!(answer.unwrap(), "b");
        sleep(Duration::from_millis(500)).await;
        at_a = lb.stats("cart").unwrap().instances[0].requests;
    }
    assert!(at_a <= 6, "{at_a} requests");
    assert!(fake.checks("a") > 10);
}

#[tokio::test]
async fn tcp_connect_tells_a_listener_from_a_closed_port() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = listener.local_addr().unwrap().to_string();
    let closed = {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap().to_string()
    };
    let check = |instance: Instance| async move { TcpConnect::new().check("cart", &instance).await };
    check(Instance::new("open").with_address(&open)).await.unwrap();
    check(Instance::new("url").with_address(format!("http://{open}/v1"))).await.unwrap();
    check(Instance::new("no address")).await.unwrap();
    check(Instance::new("closed").with_address(closed)).await.unwrap_err();
    let error = check(Instance::new("nonsense").with_address("nonsense")).await.unwrap_err();
    assert!(error.to_string().contains("host:port"), "{error}");
}
