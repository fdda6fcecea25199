//! Servers that die, hang and come back.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{ServiceConfig, ServiceRegistry};
use lb_testkit::etcd::{EtcdCluster, EtcdServer};
use tokio::time::Instant;

use crate::support::{
    Caller, Proxies, TTL, cluster, connect, in_use, instance, on_one_and_on_three, until, until_live,
    until_status,
};

on_one_and_on_three!(all_are_killed_and_come_back);
on_one_and_on_three!(at once: all_hang_for_longer_than_leases_live);

fn config(retries: u32) -> ServiceConfig {
    ServiceConfig::builder().max_retries(retries).build().unwrap()
}

async fn all_are_killed_and_come_back(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    owner.register("cart", instance("b")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;

    cluster.kill_all();
    until("stale", &watch, Duration::from_secs(6), |s| matches!(s.freshness, Freshness::Stale { .. })).await;
    cluster.heal().await.unwrap();
    until_live("live again", &watch, Duration::from_secs(2), &["a", "b"]).await;
    owner.register("cart", instance("c")).await.unwrap();
    until_live("a write", &watch, Duration::from_secs(1), &["a", "b", "c"]).await;
    caller.finish().await;
    assert_eq!(owner.status().re_registrations, 0, "the lease outlives the servers");
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed() {
    let cluster = EtcdCluster::start().await.unwrap();
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;

    // Each member in turn, so that whichever is being followed is among them.
    for round in 0..3 {
        let leader = cluster.leader().await.unwrap();
        leader.kill9();
        let start = Instant::now();
        owner.set_config("cart", config(round)).await.unwrap();
        println!("a write after the leader was killed: {:?}", start.elapsed());
        until("seen after the leader was killed", &watch, Duration::from_secs(3), |s| {
            s.config.as_ref().is_some_and(|entry| entry.config.max_retries() == round)
        })
        .await;
        cluster.heal().await.unwrap();
    }
    until_live("live", &watch, Duration::from_secs(3), &["a"]).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "nothing had to be listed");
}

/// Something happens to the member that all are connected to. Who announces and who looks on find another.
async fn the_member_in_use(leads: bool, fails: impl Fn(&EtcdServer), bound: Duration) {
    let cluster = EtcdCluster::start().await.unwrap();
    let proxies = Proxies::start(&cluster).await;
    let (owner, reader) = (connect(proxies.urls()).await, connect(proxies.urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a"]).await;
    let writer = connect(cluster.client_urls()).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;
    in_use(&cluster, &proxies, 0, leads, &watch).await;
    fails(&cluster.members()[0]);
    let failed = Instant::now();
    writer.set_config("cart", config(7)).await.unwrap();
    let written = failed.elapsed();
    until("seen at another member", &watch, bound, |s| {
        s.config.as_ref().is_some_and(|entry| entry.config.max_retries() == 7)
    })
    .await;
    println!("it led: {leads}; written {written:?} and seen {:?} after it failed", failed.elapsed());
    // Longer than the lease would live.
    tokio::time::sleep((TTL + Duration::from_secs(2)).saturating_sub(failed.elapsed())).await;
    until_live("live", &watch, Duration::from_secs(1), &["a"]).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    assert_eq!(owner.status().re_registrations, 0, "the lease is kept at another member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_in_use_hangs() {
    let hangs = |leads| the_member_in_use(leads, EtcdServer::stop, Duration::from_secs(4));
    tokio::join!(hangs(true), hangs(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_in_use_is_killed() {
    let dies = |leads| the_member_in_use(leads, EtcdServer::kill9, Duration::from_secs(3));
    tokio::join!(dies(true), dies(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_is_lost() {
    let cluster = EtcdCluster::start().await.unwrap();
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    owner.register("cart", instance("b")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b"]).await;
    let caller = Caller::start(&reader, "cart").await;

    cluster.lose_quorum().await.unwrap();
    until("stale", &watch, Duration::from_secs(6), |s| matches!(s.freshness, Freshness::Stale { .. })).await;
    let start = Instant::now();
    let refused = owner.set_config("cart", config(1)).await;
    assert!(refused.is_err());
    assert!(start.elapsed() < Duration::from_secs(12), "a write gave up only after {:?}", start.elapsed());
    cluster.heal().await.unwrap();
    until_live("live again", &watch, Duration::from_secs(2), &["a", "b"]).await;
    owner.set_config("cart", config(2)).await.unwrap();
    until("a write", &watch, Duration::from_secs(1), |s| s.config.is_some()).await;
    caller.finish().await;
}

async fn all_hang_for_longer_than_leases_live(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        kept.push(owner.announce("cart", instance(id)).await.unwrap());
    }
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;
    let caller = Caller::start(&reader, "cart").await;
    cluster.stop_all();
    tokio::time::sleep(TTL + Duration::from_secs(3)).await;
    assert!(matches!(watch.current().freshness, Freshness::Stale { .. }));
    cluster.cont_all();
    until_live("registered again", &watch, Duration::from_secs(1), &["a", "b", "c"]).await;
    until_status("all are kept", Duration::from_secs(1), || owner.status().announced == 3).await;
    caller.finish().await;
}
