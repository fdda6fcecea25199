//! Real threads: counters stay exact, order stays strict, a write is seen by the next pick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loadbalance::prelude::*;
use loadbalance::strategy::RoundRobin;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_are_exact_while_the_set_changes() {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", (0..8).map(|n| Instance::new(format!("i{n}")))).unwrap();
    let lb = LoadBalancer::new(registry.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (lb, stop, done) = (lb.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let mut n = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let call = lb.execute("s", async |i| {
                        if n.is_multiple_of(7) && i.attempt() == 1 {
                            return Err(RequestError::service("x"));
                        }
                        tokio::task::yield_now().await;
                        Ok(())
                    });
                    if n.is_multiple_of(5) {
                        // Dropped at the first await, as often as not.
                        tokio::select! { biased; _ = call => {}, () = tokio::task::yield_now() => {} }
                    } else {
                        call.await.unwrap();
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 0..300 {
        let id = format!("i{}", round % 8);
        match round % 3 {
            0 => drop(registry.deregister("s", &id).await.unwrap()),
            1 => registry.register("s", Instance::new(id).with_weight(1 + round % 4)).await.unwrap(),
            _ => registry.register("s", Instance::new(format!("new{round}"))).await.unwrap(),
        }
        let seen = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < seen + 20 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let stats = lb.stats("s").unwrap();
    assert!(stats.instances.iter().all(|i| i.in_flight == 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn round_robin_is_strict_under_concurrency() {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", (0..5).map(|n| Instance::new(format!("i{n}")))).unwrap();
    let lb = LoadBalancer::builder(registry).strategy(RoundRobin::new()).build();
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    let before: Vec<_> = lb.stats("s").unwrap().instances.iter().map(|i| i.requests).collect();
    let callers = (0..4).map(|_| {
        let lb = lb.clone();
        tokio::spawn(async move {
            for _ in 0..5_000 {
                lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    for (now, before) in lb.stats("s").unwrap().instances.iter().zip(before) {
        assert_eq!(now.requests - before, 4_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_see_their_own_writes_whoever_rebuilds() {
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("first")).await.unwrap();
    let lb = LoadBalancer::new(registry.clone());
    lb.execute("s", async |_| Ok::<_, RequestError>(())).await.unwrap();
    let writers = (0..4).map(|writer| {
        let (lb, registry) = (lb.clone(), registry.clone());
        tokio::spawn(async move {
            for n in 0..300 {
                let id = format!("w{writer}-{n}");
                registry.register("s", Instance::new(id.clone())).await.unwrap();
                assert!(lb.stats("s").unwrap().instances.iter().any(|i| *i.id == *id && i.weight == 1));
                registry.deregister("s", &id).await.unwrap();
                assert!(lb.stats("s").unwrap().instances.iter().all(|i| *i.id != *id));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Services found side by side are replaced together when one of them changes; no change of another may be lost by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_services_that_change_at_once_do_not_disturb_each_other() {
    let registry = MemoryRegistry::new();
    let lb = LoadBalancer::new(registry.clone());
    let writers = (0..4).map(|writer| {
        let (lb, registry) = (lb.clone(), registry.clone());
        tokio::spawn(async move {
            let services: Vec<_> = (0..100).map(|n| format!("service-{writer}-{n}")).collect();
            for round in 0..20 {
                for service in &services {
                    let id = format!("{service}-{round}");
                    registry.replace_all(service, [Instance::new(id.clone())]).unwrap();
                    let handle = lb.service(service.as_str());
                    for picked in [
                        lb.execute(service, async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap(),
                        handle.execute(async |i| Ok::<_, RequestError>(i.id.clone())).await.unwrap(),
                    ] {
                        assert_eq!(picked, id);
                    }
                }
            }
            services
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        for service in writer.await.unwrap() {
            let stats = lb.stats(&service).unwrap();
            assert_eq!((&*stats.service, stats.instances.len()), (&*service, 1));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_first_calls_share_one_look_up_and_unknown_names_leave_nothing() {
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("a")).await.unwrap();
    let lb = LoadBalancer::new(registry.clone());
    let callers = (0..64).map(|n| {
        let lb = lb.clone();
        tokio::spawn(async move {
            let known = lb.execute("s", async |_| Ok::<_, RequestError>(())).await;
            let unknown =
                lb.execute(&format!("typed-by-a-user-{n}"), async |_| Ok::<_, RequestError>(())).await;
            (known.is_ok(), unknown.is_err())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.unwrap(), (true, true));
    }
    assert_eq!(registry.services().await.unwrap(), ["s"]);
    assert!(lb.stats("typed-by-a-user-1").is_none());
    assert_eq!(lb.stats("s").unwrap().instances[0].requests, 64, "one pool counted them all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    let registry = MemoryRegistry::new();
    registry.register("s", Instance::new("a").with_limits(Limits::NONE.concurrency(1))).await.unwrap();
    let lb = LoadBalancer::new(registry);
    let running = Arc::new(AtomicUsize::new(0));
    let callers = (0..8).map(|_| {
        let (lb, running) = (lb.clone(), running.clone());
        tokio::spawn(async move {
            for _ in 0..500 {
                // A call whose wake-up is lost would wait for `max_wait`, and then fail.
                lb.execute("s", async |_| {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, RequestError>(())
                })
                .await
                .unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let stats = lb.stats("s").unwrap();
    assert_eq!((stats.waiting, stats.instances[0].in_flight, stats.instances[0].requests), (0, 0, 4_000));
}
