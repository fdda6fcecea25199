//! Servers that die, hang and come back.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{ServiceConfig, ServiceRegistry};
use lb_testkit::etcd::EtcdCluster;

use crate::support::{
    Caller, TTL, cluster, connect, instance, on_one_and_on_three, until, until_live, until_status,
};

on_one_and_on_three!(all_are_killed_and_come_back, all_hang_for_longer_than_leases_live);

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
        let start = tokio::time::Instant::now();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hangs_is_left() {
    let cluster = EtcdCluster::start().await.unwrap();
    let follower = cluster.follower().await.unwrap();
    // Begins at the member that will hang: it is the only one that is there.
    let others: Vec<_> =
        cluster.client_urls().into_iter().filter(|url| *url != follower.client_url()).collect();
    let writer = connect(others).await;
    let reader = connect(cluster.client_urls()).await;
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;
    for (round, member) in (1..).zip(cluster.members()) {
        if member.is_leader().await {
            continue;
        }
        member.stop();
        writer.set_config("cart", config(round)).await.unwrap();
        until("seen while a member hangs", &watch, Duration::from_secs(4), |s| {
            s.config.as_ref().is_some_and(|entry| entry.config.max_retries() == round)
        })
        .await;
        member.cont();
        cluster.heal().await.unwrap();
    }
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "nothing had to be listed");
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
    let start = tokio::time::Instant::now();
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
    until_live("registered again", &watch, Duration::from_secs(3), &["a", "b", "c"]).await;
    until_status("all are kept", Duration::from_secs(1), || owner.status().announced == 3).await;
    caller.finish().await;
}
