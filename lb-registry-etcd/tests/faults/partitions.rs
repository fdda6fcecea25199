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

/// The member that both are connected to is alone; once it leads, once it follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_in_use_is_alone() {
    let cluster = cluster_with(3, EtcdOptions::new().separable()).await;
    let proxies = Proxies::start(&cluster).await;
    let (owner, reader) = (connect(proxies.urls()).await, connect(proxies.urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;

    for (place, leads) in [(0, true), (1, false)] {
        let others = [(place + 1) % 3, (place + 2) % 3];
        in_use(&cluster, &proxies, place, leads, &watch).await;
        cluster.separate(&[&others]).unwrap();
        let separated = Instant::now();
        // What is asked of a member between two leaders may take seconds to fail.
        let leader = lb_testkit::eventually_async("a leader", Duration::from_secs(20), || async {
            for other in others {
                if cluster.members()[other].is_leader().await {
                    return Some(&cluster.members()[other]);
                }
            }
            None
        });
        let leader = leader.await.unwrap().0;
        let id = if leads { "leader" } else { "follower" };
        let value = format!(r#"{{"Op":0,"Addr":"{id}:80"}}"#);
        leader.etcdctl(&["put", &format!("lb/instances/cart/{id}"), &value]).await.unwrap();
        println!("a {id} is alone: something is written after {:?}", separated.elapsed());
        until("seen at another member", &watch, Duration::from_secs(6), |s| ids(s).contains(&id)).await;
        println!("seen {:?} after the member was alone", separated.elapsed());
        // Longer than the lease would live.
        tokio::time::sleep((TTL + Duration::from_secs(2)).saturating_sub(separated.elapsed())).await;
        until("live", &watch, Duration::from_secs(1), |s| s.freshness == Freshness::Live).await;
        assert!(ids(&watch.current()).contains(&"a"), "{:?}", watch.current());
        cluster.heal().await.unwrap();
    }
    until_live("live, with all", &watch, Duration::from_secs(2), &["a", "follower", "leader"]).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    assert_eq!(owner.status().re_registrations, 0, "the lease is kept at another member");
}
