//! Connections that break, stall or vanish.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_redis::Timeouts;
use lb_testkit::redis::RedisServer;
use lb_testkit::{Proxy, ProxyMode};

use crate::fleet::{Fleet, TTL, builder, took};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_subscription_loses_no_change() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let mut ids = vec!["x".to_owned(), "y".to_owned(), "z".to_owned()];
    for n in 0..10 {
        let id = format!("r{n}");
        if n % 3 == 0 {
            redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
        }
        fleet.a.register("s", Instance::new(&id)).await.unwrap();
        ids.push(id);
    }
    ids.sort();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    took("CLIENT KILL TYPE pubsub", "all seen", fleet.sees(&ids, 3 * SECOND).await, 3 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_are_made_anew() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await.unwrap();
    redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    took("CLIENT KILL", "converged", fleet.converges("r", 2 * SECOND).await, 2 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_connections_are_made_anew() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let fleet = Fleet::start(&format!("redis://{}", proxy.address())).await;
    proxy.reset_all();
    took("RST", "converged", fleet.converges("r", 2 * SECOND).await, 2 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_into_a_black_hole_are_replaced() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let fleet = Fleet::start(&format!("redis://{}", proxy.address())).await;
    let before = fleet.b.status().reconnects;
    proxy.set(ProxyMode::BlackHole);
    took("black hole", "stale", fleet.is_stale_within(6 * SECOND).await, 6 * SECOND);
    assert_eq!(fleet.view(), ["x", "y", "z"], "what was known stays");
    proxy.set(ProxyMode::Pass);
    took("black hole", "converged", fleet.converges("r", 3 * SECOND).await, 3 * SECOND);
    assert!(fleet.b.status().reconnects > before, "{:?}", fleet.b.status());
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_open_in_one_direction_only_is_no_way() {
    let redis = RedisServer::start().await.unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let fleet = Fleet::start(&format!("redis://{}", proxy.address())).await;
    proxy.set(ProxyMode::BlackHoleToClient);
    fleet.is_stale_within(6 * SECOND).await;
    proxy.set(ProxyMode::Pass);
    took("one-way", "converged", fleet.converges("r", 3 * SECOND).await, 3 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_waited_for_and_nobody_is_taken_for_dead() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.stop();
    took("SIGSTOP", "stale", fleet.is_stale_within(6 * SECOND).await, 6 * SECOND);
    let error = fleet.a.register("s", Instance::new("r")).await.unwrap_err();
    assert!(std::error::Error::source(&error).is_some(), "{error}");
    // Longer than the time-to-live.
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!((fleet.view().len(), fleet.suspects()), (3, 0));
    redis.cont();
    took("SIGSTOP", "converged", fleet.converges("r", 3 * SECOND).await, 3 * SECOND);
    let gone = fleet.b.status();
    assert_eq!(gone.expired, 0, "{gone:?}");
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_message_is_lost_is_found_by_its_version() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let version = redis.cli(&["GET", crate::fleet::VERSION]).await.unwrap();
    let next = (version.trim().parse::<u64>().unwrap() + 1).to_string();
    redis.cli(&["HDEL", crate::fleet::INSTANCES, "z"]).await.unwrap();
    redis.cli(&["SET", crate::fleet::VERSION, &next]).await.unwrap();
    // Its announcer puts it back with its next beat, so it is the version that is looked at: somebody else's instance.
    let bound = 6 * SECOND;
    fleet.sees(&["x", "y", "z"], bound).await;
    let stored = redis.cli(&["HGET", crate::fleet::INSTANCES, "x"]).await.unwrap().replace("\"x\"", "\"w\"");
    redis.cli(&["HSET", crate::fleet::INSTANCES, "w", stored.trim_end()]).await.unwrap();
    redis.cli(&["INCR", crate::fleet::VERSION]).await.unwrap();
    took("lost message", "seen", fleet.sees(&["w", "x", "y", "z"], bound).await, bound);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_takes_long_to_read_is_read_and_holds_nobody_up() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let large = || (0..900).map(|n| Instance::new(format!("l{n:04}")).with_metadata("m", "x".repeat(1000)));
    let registered = large().map(|instance| fleet.a.register("large", instance));
    for written in futures_util::future::join_all(registered).await {
        written.unwrap();
    }
    // Nearly a megabyte at half a megabyte a second, where a command may take one second.
    let proxy = Proxy::start(redis.address()).await.unwrap();
    proxy.set(ProxyMode::Bandwidth(512 * 1024));
    let timeouts = Timeouts::default().resync(SECOND);
    let far = builder(&format!("redis://{}", proxy.address())).timeouts(timeouts).connect().await.unwrap();
    let start = tokio::time::Instant::now();
    let watch = far.watch("large").await.unwrap();
    took("slow way", "large service known", start.elapsed(), 13 * SECOND);
    assert_eq!(watch.current().entries.len(), 900);

    // Read as a whole again and again, and neither the watch nor the announcement notices.
    let announced = far.announce("s", Instance::new("far")).await.unwrap();
    let (before, bytes) = (far.status(), sent(&redis).await);
    tokio::time::sleep(2 * TTL).await;
    let after = far.status();
    assert!(sent(&redis).await - bytes > 1_000_000, "it was not read again");
    assert_eq!(
        (after.reconnects, after.re_registrations, after.expired),
        (before.reconnects, before.re_registrations, 0)
    );
    assert_eq!(watch.current().freshness, lb_core::registry::Freshness::Live);
    drop(announced);
    fleet.sees(&["x", "y", "z"], 3 * SECOND).await;
    fleet.end(&redis).await;
}

async fn sent(redis: &RedisServer) -> u64 {
    redis.info("stats", "total_net_output_bytes").await.unwrap().trim().parse().unwrap()
}
