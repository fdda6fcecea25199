//! `RedisRegistry` keeps the contract of every registry, however its servers are arranged.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lb_core::Instance;
use lb_core::testing::RegistryContract;
use lb_registry_redis::RedisRegistry;
use lb_testkit::redis::{MASTER_NAME, RedisCluster, RedisSentinel, RedisServer};

async fn keeps_the_contract(url: &str) {
    let made = AtomicU32::new(0);
    let make = async || {
        let n = made.fetch_add(1, Ordering::Relaxed);
        RedisRegistry::<Instance>::builder(url)
            .unwrap()
            .namespace(format!("contract {n}"))
            .connect()
            .await
            .unwrap()
    };
    // What must not happen would have happened by then: a change is seen in a millisecond or so.
    RegistryContract::new()
        .settle(Duration::from_secs(20))
        .quiet(Duration::from_millis(120))
        .check(make)
        .await;
}

fn hosts(urls: &[String]) -> String {
    urls.iter().map(|url| url.trim_start_matches("redis://")).collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let redis = RedisServer::start().await.unwrap();
    keeps_the_contract(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sentinels() {
    let redis = RedisSentinel::start(1).await.unwrap();
    keeps_the_contract(&format!("redis+sentinel://{}/{MASTER_NAME}", hosts(&redis.sentinel_urls()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster() {
    let redis = RedisCluster::start().await.unwrap();
    keeps_the_contract(&format!("redis+cluster://{}", hosts(&redis.urls()))).await;
}
