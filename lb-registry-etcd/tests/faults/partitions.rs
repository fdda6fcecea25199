//! Members that do not reach each other, while clients reach all of them.

use std::time::Duration;

use lb_core::ServiceRegistry;
use lb_core::registry::Freshness;
use lb_testkit::etcd::EtcdOptions;
use tokio::time::Instant;

use crate::support::{Caller, Proxies, TTL, cluster_with, connect, ids, in_use, instance, until, until_live};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_member_reaches_another() {
    let cluster = cluster_with(3, EtcdOptions::new().separable()).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    owner.register("cart", instance("b")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let (separated, lists) = (Instant::now(), reader.status().relists);

    cluster.separate(&[]).unwrap();
    until("stale", &watch, Duration::from_secs(6), |s| matches!(s.freshness, Freshness::Stale { .. })).await;
    let start = Instant::now();
    assert!(owner.register("cart", instance("c")).await.is_err());
    assert!(start.elapsed() < Duration::from_secs(12), "a write gave up only after {:?}", start.elapsed());
    tokio::time::sleep((TTL * 2).saturating_sub(separated.elapsed())).await;

    cluster.heal().await.unwrap();
    until_live("live again", &watch, Duration::from_secs(2), &["a", "b"]).await;
    owner.register("cart", instance("d")).await.unwrap();
    until_live("a write", &watch, Duration::from_secs(1), &["a", "b", "d"]).await;
    caller.finish().await;
    assert_eq!(owner.status().re_registrations, 0, "without a leader no lease runs out");
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_in_use_is_alone() {
    tokio::join!(is_alone(true), is_alone(false));
}

/// The member that all are connected to reaches no other.
async fn is_alone(leads: bool) {
    let cluster = cluster_with(3, EtcdOptions::new().separable()).await;
    let proxies = Proxies::start(&cluster).await;
    let (owner, reader) = (connect(proxies.urls()).await, connect(proxies.urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;
    in_use(&cluster, &proxies, 0, leads, &watch).await;

    cluster.separate(&[&[1, 2]]).unwrap();
    let separated = Instant::now();
    // What is asked of a member between two leaders may take seconds to fail.
    let others = &cluster.members()[1..];
    let leader = lb_testkit::eventually_async("a leader", Duration::from_secs(20), || async {
        for other in others {
            if other.is_leader().await {
                return Some(other);
            }
        }
        None
    });
    let leader = leader.await.unwrap().0;
    leader.etcdctl(&["put", "lb/instances/cart/b", r#"{"Op":0,"Addr":"b:80"}"#]).await.unwrap();
    let written = separated.elapsed();
    until("seen at another member", &watch, Duration::from_secs(6), |s| ids(s) == ["a", "b"]).await;
    println!("it led: {leads}; written {written:?} and seen {:?} after it was alone", separated.elapsed());
    // Longer than the lease would live.
    tokio::time::sleep((TTL + Duration::from_secs(2)).saturating_sub(separated.elapsed())).await;
    until_live("live", &watch, Duration::from_secs(1), &["a", "b"]).await;
    cluster.heal().await.unwrap();
    owner.register("cart", instance("c")).await.unwrap();
    until_live("a write", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    assert_eq!(owner.status().re_registrations, 0, "the lease is kept at another member");
}
