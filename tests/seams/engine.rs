//! A fallback service and a hedge, put together from what is public.

use std::time::Duration;

use loadbalance::prelude::*;

#[tokio::test(start_paused = true)]
async fn a_fallback_service() {
    let registry = MemoryRegistry::new();
    registry.register("small-context", Instance::new("a")).await.unwrap();
    registry.register("large-context", Instance::new("b")).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let ask = async |picked: Picked<Instance>| match picked.service() {
        "small-context" => Err(RequestError::unsuitable("context too long")),
        service => Ok(service.to_owned()),
    };
    let mut answer = None;
    for service in ["small-context", "large-context"] {
        match lb.execute(service, ask).await {
            Ok(value) => answer = Some(value),
            Err(Error::Unsuitable { .. } | Error::NoAvailableInstance { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(answer.unwrap(), "large-context");
}

#[tokio::test(start_paused = true)]
async fn a_hedge() {
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("fast")).await.unwrap();
    registry.register("s", Instance::new("slow")).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let run = async |picked: &Picked<Instance>| {
        let time = if picked.id == "slow" { Duration::from_secs(60) } else { Duration::from_millis(10) };
        tokio::time::sleep(time).await;
        Ok::<_, RequestError>(picked.id.clone())
    };
    let options = CallOptions::new();
    let service = lb.service("s");
    for _ in 0..10 {
        let first = service.pick(&options).await.unwrap();
        let hedged = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let second = service.pick(&options).await.unwrap();
            let result = run(&second).await;
            second.finish();
            result
        };
        let winner = tokio::select! {
            result = run(&first) => result,
            result = hedged => result,
        };
        if winner.as_deref().unwrap() == first.id() {
            first.finish();
        } else {
            drop(first);
        }
        assert_eq!(winner.unwrap(), "fast");
    }
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.in_flight == 0));
    assert!(stats.instances[1].cancelled >= 4, "the losers count as cancelled: {stats:?}");
}
