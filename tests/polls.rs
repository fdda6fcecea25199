//! How often the closure's future is polled: once at the beginning, and once whenever it is woken.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::{HedgeConfig, RequestError};

/// Calls whose future is woken `wakes` times before it is over; returns how often each was polled.
async fn polls(config: ServiceConfig, wakes: u32) -> u32 {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", [Instance::new("a"), Instance::new("b")]).unwrap();
    registry.set_config("s", config).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let polls = Cell::new(0);
    // The first call finds the service, the second has it.
    for call in 1..=2 {
        lb.execute("s", async |_| {
            poll_fn(|context| {
                polls.set(polls.get() + 1);
                if polls.get() == call * (wakes + 1) {
                    return Poll::Ready(Ok::<_, RequestError>(()));
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await
        })
        .await
        .unwrap();
        assert_eq!(polls.get(), call * (wakes + 1));
    }
    polls.get() / 2
}

#[tokio::test(start_paused = true)]
async fn once_and_once_per_wake_whatever_ends_or_hedges_it() {
    let config = || ServiceConfig::builder().jitter(0.0);
    let hedge = HedgeConfig::after(Duration::from_millis(10));
    let minute = Duration::from_secs(60);
    for config in
        [config(), config().deadline(minute), config().attempt_timeout(minute), config().hedge(hedge)]
    {
        let config = config.build().unwrap();
        for wakes in [0, 1, 3] {
            assert_eq!(polls(config.clone(), wakes).await, wakes + 1, "{config:?}");
        }
    }
}
