//! The kit's Redis servers do what their verbs say.

use std::time::Duration;

use lb_testkit::redis::{RedisCluster, RedisOptions, RedisSentinel, RedisServer};
use lb_testkit::{Result, Tls};

#[tokio::test]
async fn what_is_persistent_outlives_a_kill_and_nothing_else_does() -> Result<()> {
    let redis = RedisServer::start().await?;
    redis.cli(&["SET", "a", "1"]).await?;
    redis.restart().await?;
    assert_eq!(redis.cli(&["GET", "a"]).await?, "");

    let redis = RedisServer::start_with(RedisOptions::new().persistent()).await?;
    redis.cli(&["HSET", "a", "x", "1"]).await?;
    redis.kill9();
    assert!(redis.cli(&["PING"]).await.is_err());
    redis.restart().await?;
    assert_eq!(redis.json(&["HGETALL", "a"]).await?["x"], "1");
    redis.wipe()?;
    redis.restart().await?;
    assert_eq!(redis.cli(&["EXISTS", "a"]).await?, "0");
    Ok(())
}

#[tokio::test]
async fn limits_and_users_are_in_force() -> Result<()> {
    let redis = RedisServer::start_with(
        RedisOptions::new().maxmemory(1 << 20).user("reader", "on >secret ~lb:* +@read"),
    )
    .await?;
    let full = redis.cli(&["SET", "big", &"x".repeat(100_000)]).await;
    assert!(full.expect_err("no memory").to_string().contains("OOM"));
    let refused =
        redis.cli(&["--user", "reader", "--pass", "secret", "--no-auth-warning", "SET", "lb:a", "1"]);
    assert!(refused.await.expect_err("may not write").to_string().contains("NOPERM"));
    Ok(())
}

#[tokio::test]
async fn tls_is_spoken() -> Result<()> {
    let redis = RedisServer::start_with(RedisOptions::new().tls(Tls::Mutual)).await?;
    assert!(redis.url().starts_with("rediss://"));
    assert_eq!(redis.cli(&["PING"]).await?, "PONG");
    Ok(())
}

#[tokio::test]
async fn sentinels_promote_a_replica() -> Result<()> {
    let sentinel = RedisSentinel::start(2).await?;
    let old = sentinel.master().await?;
    old.cli(&["SET", "a", "1"]).await?;
    old.kill9();
    let (new, took) = sentinel.promoted(old, Duration::from_secs(30)).await?;
    println!("promoted after {took:?}");
    assert_eq!(new.cli(&["GET", "a"]).await?, "1");
    sentinel.heal().await?;
    assert_eq!(old.info("replication", "role").await?, "slave");

    sentinel.failover().await?;
    sentinel.promoted(new, Duration::from_secs(30)).await?;
    Ok(())
}

#[tokio::test]
async fn a_cluster_serves_all_slots() -> Result<()> {
    let cluster = RedisCluster::start_with(RedisOptions::new().persistent()).await?;
    let node = &cluster.nodes()[0];
    for key in ["a", "b", "c", "d"] {
        node.cli(&["-c", "SET", key, "1"]).await?;
    }
    cluster.nodes()[1].stop();
    cluster.nodes()[2].kill9();
    cluster.heal().await?;
    assert_eq!(node.cli(&["-c", "GET", "a"]).await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_cluster_promotes_a_replica() -> Result<()> {
    let mut cluster = RedisCluster::start().await?;
    // It has the slots of `a`.
    let master = 2;
    cluster.add_replica(master).await?;
    cluster.nodes()[master].cli(&["SET", "a", "1"]).await?;
    cluster.nodes()[master].cli(&["WAIT", "1", "9000"]).await?;
    cluster.nodes()[master].kill9();
    let (new, took) = cluster.promoted(Duration::from_secs(60)).await?;
    println!("promoted after {took:?}");
    assert_eq!(new.cli(&["GET", "a"]).await?, "1");
    Ok(())
}
