//! What is learned, and how fast.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::{QuotaStatus, RestReason};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use crate::provider::{Counting, Quota};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// One key, as many callers as there is work for, and a provider whose quota changes.
struct Key {
    lb: LoadBalancer<Instance>,
    quota: Cell<Quota>,
    passed: Cell<u32>,
    refused: Cell<u32>,
}

impl Key {
    async fn new(quota: Quota) -> Rc<Self> {
        let registry = MemoryRegistry::new();
        registry.register("model", Instance::new("key")).await.unwrap();
        let config = ServiceConfig::builder().retry_delay(10 * MS).build().unwrap();
        let lb = LoadBalancer::builder(registry).config(config).seed(7).build();
        Rc::new(Self { lb, quota: Cell::new(quota), passed: Cell::new(0), refused: Cell::new(0) })
    }

    fn take(&self) -> Result<(), RequestError> {
        let quota = self.quota.replace(Quota::new(1.0, Counting::Bucket(SECOND)));
        let taken = quota.take();
        self.quota.set(quota);
        let count = if taken.is_ok() { &self.passed } else { &self.refused };
        count.set(count.get() + 1);
        taken.map_err(|_| RequestError::limit_exceeded("429"))
    }

    /// Keeps it busy; returns how many passed per second, and how many were refused.
    async fn busy(self: &Rc<Self>, time: Duration) -> (f64, u32) {
        let (passed, refused) = (self.passed.get(), self.refused.get());
        let callers: Vec<_> = (0..40)
            .map(|_| {
                let key = Rc::clone(self);
                tokio::task::spawn_local(async move {
                    loop {
                        let call = key.lb.execute("model", |_| async {
                            sleep(5 * MS).await;
                            key.take()?;
                            sleep(95 * MS).await;
                            Ok::<_, RequestError>(())
                        });
                        call.await.unwrap();
                    }
                })
            })
            .collect();
        sleep(time).await;
        callers.iter().for_each(tokio::task::JoinHandle::abort);
        for caller in callers {
            let _ = caller.await;
        }
        (f64::from(self.passed.get() - passed) / time.as_secs_f64(), self.refused.get() - refused)
    }

    fn status(&self) -> Option<QuotaStatus> {
        self.lb.stats("model").unwrap().instances[0].quota
    }
}

fn bucket(rate: f64) -> Quota {
    Quota::new(rate, Counting::Bucket(SECOND))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_limited_before_the_first_refusal() {
    let registry = MemoryRegistry::new();
    registry.register("model", Instance::new("key")).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let start = Instant::now();
    for _ in 0..10_000 {
        lb.execute("model", async |_| Ok::<_, RequestError>(())).await.unwrap();
    }
    assert_eq!((start.elapsed(), lb.stats("model").unwrap().instances[0].quota), (Duration::ZERO, None));
}

#[tokio::test(start_paused = true)]
async fn rates_from_6_a_minute_to_200_a_second() {
    for (rate, learning, then) in [(0.1, 120, 600), (1.0, 20, 120), (8.0, 10, 60), (200.0, 5, 20)] {
        LocalSet::new()
            .run_until(async move {
                let key = Key::new(bucket(rate)).await;
                let (_, refused) = key.busy(learning * SECOND).await;
                assert!(refused <= 60, "{rate}/s: {refused} refused while it was learned");
                let (passed, refused) = key.busy(then * SECOND).await;
                assert!(passed >= 0.9 * rate, "{rate}/s: {passed} passed");
                let part = f64::from(refused) / (passed * then as f64);
                assert!(part <= 0.06, "{rate}/s: {refused} refused, {part} of what passed");
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_changes_is_learned_anew() {
    LocalSet::new()
        .run_until(async {
            let key = Key::new(bucket(20.0)).await;
            key.busy(20 * SECOND).await;
            key.quota.set(bucket(5.0));
            let (_, refused) = key.busy(20 * SECOND).await;
            assert!(refused <= 30, "{refused} refused when it shrank");
            let (passed, refused) = key.busy(40 * SECOND).await;
            assert!(passed >= 4.5 && refused <= 10, "shrunk: {passed} passed a second, {refused} refused");
            key.quota.set(bucket(20.0));
            key.busy(60 * SECOND).await;
            let (passed, refused) = key.busy(20 * SECOND).await;
            assert!(passed >= 18.0 && refused <= 20, "grown: {passed} passed a second, {refused} refused");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn refusals_of_one_burst_count_once() {
    LocalSet::new()
        .run_until(async {
            let key = Key::new(bucket(10.0)).await;
            // Forty at once: ten pass, thirty are refused.
            key.busy(6 * MS).await;
            assert_eq!((key.passed.get(), key.refused.get()), (10, 30));
            let status = key.status().unwrap();
            assert_eq!(status.refused, 30);
            let rate = status.requests_per_minute.unwrap();
            assert!((rate - 600.0).abs() < 1.0, "the first guess is still {rate} a minute");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_retry_after_parks_and_no_call_sleeps_so_long() {
    let registry = MemoryRegistry::new();
    registry.register("model", Instance::new("a")).await.unwrap();
    registry.register("model", Instance::new("b")).await.unwrap();
    let lb = LoadBalancer::builder(registry).strategy(RoundRobin::new().starting_at(0)).build();
    let week = 7 * 24 * 3600 * SECOND;
    let start = Instant::now();
    for _ in 0..20 {
        let call = lb.execute("model", async |key| {
            let refused = RequestError::limit_exceeded("quota of the month").with_retry_after(week);
            if key.id() == "a" { Err(refused) } else { Ok(()) }
        });
        call.await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let stats = lb.stats("model").unwrap();
    let a = &stats.instances[0];
    assert_eq!((a.requests, a.rest_reason, a.resting_for), (1, Some(RestReason::RetryAfter), Some(week)));
    let nobody = lb.execute("model", async |_| {
        Err::<(), _>(RequestError::limit_exceeded("quota of the month").with_retry_after(week))
    });
    let error = nobody.await.unwrap_err();
    assert!(start.elapsed() < SECOND, "it says when, and does not wait: {error}");
    assert!(error.retry_after().is_some_and(|after| after > week - SECOND), "{error}");
    tokio::time::advance(week).await;
    lb.execute("model", async |_| Ok::<_, RequestError>(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_at_the_same_time_is_learned_as_a_rate() {
    LocalSet::new()
        .run_until(async {
            let registry = MemoryRegistry::new();
            registry.register("model", Instance::new("key")).await.unwrap();
            let config = ServiceConfig::builder().retry_delay(10 * MS).build().unwrap();
            let lb = LoadBalancer::builder(registry).config(config).seed(7).build();
            // Three at a time, of half a second each: six a second.
            let (running, passed, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
            let start = Instant::now();
            let caller = || async {
                while start.elapsed() < 60 * SECOND {
                    let call = lb.execute("model", |_| async {
                        if running.get() == 3 {
                            refused.set(refused.get() + 1);
                            return Err(RequestError::limit_exceeded("too many at once"));
                        }
                        running.set(running.get() + 1);
                        sleep(500 * MS).await;
                        running.set(running.get() - 1);
                        passed.set(passed.get() + 1);
                        Ok(())
                    });
                    call.await.unwrap();
                }
            };
            futures_util::future::join_all((0..12).map(|_| caller())).await;
            let (passed, refused) = (passed.get(), refused.get());
            assert!(passed >= 240, "{passed} of 360");
            assert!(refused * 5 <= passed, "{refused} refused, {passed} passed");
        })
        .await;
}
