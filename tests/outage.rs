//! A total outage: the retry budget paces, nothing fails because of it, and recovery is quick.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use loadbalance::prelude::*;
use tokio::time::Instant;

const CALLERS: u64 = 1_000;
const SECOND: Duration = Duration::from_secs(1);

/// All instances fail for `outage`; how many upstream calls that makes, and when the last caller is served.
fn outage(instances: usize, outage: Duration, retry_delay: Duration) -> (u64, Duration) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let registry = MemoryRegistry::new();
        registry.replace_all("s", (0..instances).map(|n| Instance::new(format!("i{n}")))).unwrap();
        let config = ServiceConfig::builder()
            .retry_delay(retry_delay)
            .retry_backoff(1.0)
            .jitter(0.0)
            .max_retries(100_000)
            .build()
            .unwrap();
        registry.set_config("s", config).await.unwrap();
        let lb = LoadBalancer::builder(registry).seed(1).build();
        let (start, upstream) = (Instant::now(), Rc::new(Cell::new(0)));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (lb, upstream) = (lb.clone(), upstream.clone());
                tokio::task::spawn_local(async move {
                    lb.execute("s", async |_| {
                        upstream.set(upstream.get() + 1);
                        if start.elapsed() < outage { Err(RequestError::service("down")) } else { Ok(()) }
                    })
                    .await
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap().expect("nothing fails because of the budget");
        }
        (upstream.get(), start.elapsed())
    })
}

#[test]
fn upstream_calls_are_bounded_and_recovery_takes_one_backoff() {
    for (instances, seconds, retry_delay) in [(1, 20, SECOND), (3, 20, SECOND), (10, 7, 2 * SECOND)] {
        let time = Duration::from_secs(seconds);
        let (upstream, end) = outage(instances, time, retry_delay);
        // A burst of 100, 10 a second, and a fifth of a token per request.
        let tokens = 100 + 10 * seconds + upstream / 5;
        let bound = CALLERS + tokens + CALLERS * (seconds / retry_delay.as_secs() + 1);
        assert!(upstream <= bound, "{instances} instances: {upstream} upstream calls, at most {bound}");
        assert!(end <= time + retry_delay, "served by {end:?}");
    }
}
