//! A process that starts while Redis is away.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{Instance, LoadBalancer, RequestError, ServiceRegistry};
use lb_testkit::redis::RedisServer;

use crate::fleet::{Fleet, builder};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_with_what_is_on_disk_and_catches_up() {
    let redis = RedisServer::start().await.unwrap();
    let dir = lb_testkit::scratch_dir("redis-cache").unwrap();
    let file = dir.path().join("registry.cache");
    let fleet = Fleet::with(builder(&redis.url()), builder(&redis.url()).cache(&file)).await;
    lb_testkit::eventually("a file", 15 * SECOND, || file.exists().then_some(())).await.unwrap();
    redis.kill9();

    let nothing = builder(&redis.url()).wait(Duration::from_millis(300)).connect().await;
    assert!(nothing.unwrap_err().to_string().contains("wait(Duration::ZERO)"));

    let cold = builder(&redis.url()).cache(&file).wait(Duration::from_millis(300)).connect().await.unwrap();
    let start = tokio::time::Instant::now();
    let mut watch = cold.watch("s").await.unwrap();
    assert!(start.elapsed() < SECOND, "what is on disk is not waited for");
    let snapshot = watch.current();
    assert_eq!((snapshot.entries.len(), snapshot.freshness), (3, Freshness::ColdCache));
    let lb = LoadBalancer::new(cold.clone());
    lb.execute("s", |_| async { Ok::<_, RequestError>(()) }).await.unwrap();

    redis.restart().await.unwrap();
    // The first write may find the connection broken.
    let registered = lb_testkit::eventually_async("a registration", 10 * SECOND, async || {
        fleet.a.register("s", Instance::new("new")).await.ok()
    });
    registered.await.unwrap();
    let caught_up = tokio::time::timeout(10 * SECOND, async {
        while !(watch.current().freshness == Freshness::Live && watch.current().entries.get("new").is_some())
        {
            watch.changed().await.unwrap();
        }
    });
    caught_up.await.unwrap();
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_waiting_it_connects_when_redis_is_there() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill9();
    let early = builder(&redis.url()).wait(Duration::ZERO).connect().await.unwrap();
    assert!(early.watch("s").await.is_err(), "nothing is known, and Redis cannot be asked");
    redis.restart().await.unwrap();
    let registered = lb_testkit::eventually_async("a registration", 10 * SECOND, async || {
        early.register("s", Instance::new("a")).await.ok()
    });
    registered.await.unwrap();
    assert_eq!(early.instances("s").await.unwrap().len(), 1);
}
