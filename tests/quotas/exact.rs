//! Counters stay exact: many keys, and calls that are dropped.

use std::time::Duration;

use loadbalance::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn of_150_keys_each_is_held_to_its_own_quota() {
    let registry = MemoryRegistry::new();
    for i in 0..150_u32 {
        let limits = Limits::NONE.requests_per_minute(60 * (1 + i % 4)).burst(SECOND);
        registry.register("model", Instance::new(format!("{i:03}")).with_limits(limits)).await.unwrap();
    }
    let lb = LoadBalancer::new(registry);
    let model = lb.service("model");
    model.execute(async |_| Ok::<_, RequestError>(())).await.unwrap();
    let mut passed = 1;
    while model.try_pick(&CallOptions::new()).map(Picked::finish).is_ok() {
        passed += 1;
    }
    let burst: u32 = (0..150).map(|i| 1 + i % 4).sum();
    assert_eq!(passed, burst, "as many as fit, and not one more");
    let stats = lb.stats("model").unwrap();
    for (i, instance) in stats.instances.iter().enumerate() {
        let due = 1 + i as u64 % 4;
        assert_eq!((instance.requests, instance.in_flight), (due, 0), "{}", instance.id);
        assert!(instance.headroom < 0.3, "{}: {}", instance.id, instance.headroom);
    }
    tokio::time::advance(SECOND / 2).await;
    let passed = std::iter::from_fn(|| model.try_pick(&CallOptions::new()).ok().map(Picked::finish)).count();
    let half: u32 = (0..150).map(|i| (1 + i % 4) / 2).sum();
    assert_eq!(passed, half as usize, "what has come back in half a second");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_in_flight_after_20_cancelled_calls() {
    let registry = MemoryRegistry::new();
    for id in ["a", "b"] {
        registry.register("model", Instance::new(id).with_limits(Limits::NONE.concurrency(4))).await.unwrap();
    }
    let lb = LoadBalancer::new(registry);
    // Eight run, twelve wait.
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let lb = lb.clone();
            tokio::spawn(async move {
                lb.execute("model", async |_| std::future::pending::<Result<(), RequestError>>().await).await
            })
        })
        .collect();
    tokio::time::sleep(SECOND).await;
    let in_flight = |lb: &LoadBalancer<Instance>| {
        lb.stats("model").unwrap().instances.iter().map(|instance| instance.in_flight).sum::<u64>()
    };
    assert_eq!((in_flight(&lb), lb.stats("model").unwrap().waiting), (8, 12));
    for call in calls {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let stats = lb.stats("model").unwrap();
    assert_eq!((in_flight(&lb), stats.waiting), (0, 0));
    for instance in &stats.instances {
        assert!((instance.headroom - 1.0).abs() < 1e-9, "{instance:?}");
        assert_eq!(instance.cancelled, 4, "{instance:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bursts_as_short_as_a_quarter_of_a_second_are_kept_to() {
    let registry = MemoryRegistry::new();
    let limits = Limits::NONE.requests_per_minute(480).burst(SECOND / 4);
    registry.register("model", Instance::new("a").with_limits(limits)).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let (mut times, start) = (Vec::new(), tokio::time::Instant::now());
    for _ in 0..40 {
        lb.execute("model", async |_| Ok::<_, RequestError>(())).await.unwrap();
        times.push(start.elapsed().as_secs_f64());
    }
    for window in times.windows(4) {
        let took = window[3] - window[0];
        assert!(took >= 0.245, "four within {took} s: more than 8 · 0.25, and what comes in meanwhile");
    }
    assert!(times[39] < 5.0, "and not slower than granted: {}", times[39]);
}
