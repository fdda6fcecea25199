//! What is announced is there, whatever etcd does to leases and keys.

use std::time::Duration;

use lb_core::ServiceRegistry;
use lb_core::registry::{InstanceState, RegistryError};
use lb_registry_etcd::RemovalPolicy;
use lb_testkit::ProxyMode;
use lb_testkit::etcd::EtcdCluster;

use crate::support::{
    Caller, Proxies, TTL, builder, cluster, connect, ids, instance, on_one_and_on_three, until, until_live,
    until_status,
};

on_one_and_on_three!(
    a_revoked_lease_is_replaced,
    a_deleted_key_is_put_again_but_a_deregistered_one_is_not,
    an_announcement_dropped_while_etcd_is_down_is_taken_out_when_it_is_back
);
on_one_and_on_three!(at once: who_was_away_for_too_long_comes_back_and_spares_a_successor, a_registry_that_is_dropped_leaves_nothing_behind, a_process_that_dies_is_a_suspect_and_then_gone);

/// The leases that etcd has, as `etcdctl lease list` prints them.
async fn leases(cluster: &EtcdCluster) -> Vec<String> {
    let list = cluster.members()[0].etcdctl(&["lease", "list"]).await.unwrap();
    list.lines().skip(1).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

async fn a_revoked_lease_is_replaced(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        kept.push(owner.announce("cart", instance(id)).await.unwrap());
    }
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;
    let before = watch.current();
    let [lease] = &*leases(&cluster).await else { panic!("a process has one lease") };

    let caller = Caller::start(&reader, "cart").await;
    cluster.etcdctl(&["lease", "revoke", lease]).await.unwrap();
    until_status("registered again", Duration::from_secs(2), || owner.status().re_registrations >= 3).await;
    until_live("seen again", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;
    caller.finish().await;
    let after = watch.current();
    for (old, new) in before.entries.iter().zip(after.entries.iter()) {
        assert_eq!(old.revision, new.revision, "the same instance is not a new one");
    }
    assert_ne!(&leases(&cluster).await[..], std::slice::from_ref(lease));

    for announcement in kept {
        announcement.leave(Duration::ZERO).await.unwrap();
    }
    until_status("the lease is given back", Duration::from_secs(2), || owner.status().announced == 0).await;
    let mut left = leases(&cluster).await;
    for _ in 0..100 {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        left = leases(&cluster).await;
    }
    assert!(left.is_empty(), "{left:?}");
}

async fn a_deleted_key_is_put_again_but_a_deregistered_one_is_not(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let mut a = owner.announce("cart", instance("a")).await.unwrap();
    let _b = owner.announce("cart", instance("b")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b"]).await;

    cluster.etcdctl(&["del", "lb/instances/cart/a"]).await.unwrap();
    until_status("put again", Duration::from_secs(2), || owner.status().re_registrations == 1).await;
    until_live("seen again", &watch, Duration::from_secs(2), &["a", "b"]).await;

    assert!(reader.deregister("cart", "a").await.unwrap());
    until_live("deregistered", &watch, Duration::from_secs(2), &["b"]).await;
    until_status("given up", Duration::from_secs(2), || owner.status().announced == 1).await;
    tokio::time::sleep(TTL / 2).await;
    assert_eq!(ids(&watch.current()), ["b"]);
    let error = a.update(instance("a")).await.unwrap_err();
    assert!(matches!(error, RegistryError::UnknownInstance { .. }), "{error:?}");

    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced anew", &watch, Duration::from_secs(2), &["a", "b"]).await;
}

/// The process cannot be reached for longer than its lease lives; when it is back, it registers again, unless somebody
/// has taken its place.
async fn who_was_away_for_too_long_comes_back_and_spares_a_successor(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let owner = connect(proxies.urls()).await;
    let reader = builder(cluster.client_urls()).removal(RemovalPolicy::trust()).connect().await.unwrap();
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    let mut b = owner.announce("cart", instance("b")).await.unwrap();
    let _stays = reader.announce("cart", instance("c")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b", "c"]).await;

    proxies.set(ProxyMode::BlackHole);
    until("the lease ran out", &watch, TTL * 2, |s| ids(s) == ["c"]).await;
    until_status("the owner notices", Duration::from_secs(6), || {
        owner.status().freshness != lb_core::registry::Freshness::Live
    })
    .await;
    let _successor = reader.announce("cart", instance("b").with_weight(7)).await.unwrap();
    proxies.set(ProxyMode::Pass);
    until("registered again", &watch, Duration::from_secs(4), |s| ids(s) == ["a", "b", "c"]).await;
    until_status("given up", Duration::from_secs(4), || owner.status().announced == 1).await;
    assert_eq!(watch.current().entries.get("b").unwrap().instance.weight, 7);
    let error = b.update(instance("b")).await.unwrap_err();
    assert!(matches!(error, RegistryError::InvalidInstance { .. }), "{error:?}");
}

async fn an_announcement_dropped_while_etcd_is_down_is_taken_out_when_it_is_back(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let dropped = owner.announce("cart", instance("a")).await.unwrap();
    let _b = owner.announce("cart", instance("b")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a", "b"]).await;
    cluster.kill_all();
    drop(dropped);
    cluster.heal().await.unwrap();
    until_live("taken out", &watch, Duration::from_secs(4), &["b"]).await;
}

async fn a_registry_that_is_dropped_leaves_nothing_behind(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let announcement = owner.announce("cart", instance("a")).await.unwrap();
    let _b = reader.announce("cart", instance("b")).await.unwrap();
    drop(owner);
    // The announcement alone keeps its lease alive.
    tokio::time::sleep(TTL + Duration::from_secs(2)).await;
    until_live("still there", &watch, Duration::from_secs(2), &["a", "b"]).await;
    drop(announcement);
    until_live("taken out", &watch, Duration::from_secs(2), &["b"]).await;
    for _ in 0..100 {
        if leases(&cluster).await.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(leases(&cluster).await.len(), 1, "its lease is given back");
    let removed = cluster.members()[0].get_prefix("lb/removed/").await.unwrap();
    assert!(removed.is_empty(), "{removed:?}");
}

async fn a_process_that_dies_is_a_suspect_and_then_gone(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let dies = connect(proxies.urls()).await;
    let removal = RemovalPolicy::for_ttl(TTL).with_grace(Duration::from_secs(2));
    let reader = builder(cluster.client_urls()).removal(removal).connect().await.unwrap();
    let watch = reader.watch("cart").await.unwrap();
    let _a = dies.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(2), &["a"]).await;
    proxies.set(ProxyMode::BlackHole);
    until("suspected", &watch, TTL * 2, |s| {
        s.entries.get("a").is_some_and(|entry| entry.state == InstanceState::Suspect)
    })
    .await;
    until("gone", &watch, Duration::from_secs(3), |s| s.entries.is_empty()).await;
    assert_eq!(reader.status().expired, 1);
}
