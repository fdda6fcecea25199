//! The network between this process and etcd.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{ServiceRegistry, registry::Override};
use lb_testkit::{Proxy, ProxyMode};

use crate::support::{
    Caller, Proxies, cluster, connect, ids, instance, on_one_and_on_three, until, until_live,
};

on_one_and_on_three!(connections_are_torn, a_burst_is_caught_up_with);
on_one_and_on_three!(at once: all_connections_swallow_everything, an_old_connection_swallows_everything);

async fn connections_are_torn(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let (reader, writer) = (connect(proxies.urls()).await, connect(cluster.client_urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;
    let mut expected = vec!["a".to_owned()];
    for n in 0..10 {
        proxies.reset_all();
        let id = format!("b{n}");
        writer.register("cart", instance(&id)).await.unwrap();
        expected.push(id);
    }
    until("all of it", &watch, Duration::from_secs(2), |s| ids(s) == expected).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    assert!(reader.status().reconnects >= 1);
}

async fn all_connections_swallow_everything(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let (reader, writer) = (connect(proxies.urls()).await, connect(cluster.client_urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    for mode in [ProxyMode::BlackHole, ProxyMode::BlackHoleToClient, ProxyMode::BlackHoleToServer] {
        proxies.set(mode);
        until("stale", &watch, Duration::from_secs(6), |s| matches!(s.freshness, Freshness::Stale { .. }))
            .await;
        writer.set_override("cart", "a", Override::weight(3)).await.unwrap();
        proxies.set(ProxyMode::Pass);
        until_live("live again", &watch, Duration::from_secs(4), &["a"]).await;
        until("the write", &watch, Duration::from_secs(1), |s| s.entries.get("a").unwrap().weight() == 3)
            .await;
        writer.set_override("cart", "a", Override::NONE).await.unwrap();
    }
    caller.finish().await;
}

/// Old connections swallow everything, new ones work: a firewall that has lost its state.
async fn an_old_connection_swallows_everything(members: usize) {
    let cluster = cluster(members).await;
    // To a single member there are two ways.
    let mut proxies = Vec::new();
    for member in cluster.members().iter().cycle().take(members.max(2)) {
        proxies.push(Proxy::start(member.client_address()).await.unwrap());
    }
    let urls = proxies.iter().map(|proxy| format!("http://{}", proxy.address()));
    let (reader, writer) = (connect(urls).await, connect(cluster.client_urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let lists = reader.status().relists;
    for n in 0..3 {
        let used = proxies.iter().max_by_key(|proxy| proxy.connections()).unwrap();
        used.set(ProxyMode::BlackHole);
        let id = format!("b{n}");
        writer.register("cart", instance(&id)).await.unwrap();
        until("seen over another connection", &watch, Duration::from_secs(4), |s| ids(s).contains(&&*id))
            .await;
        used.set(ProxyMode::Pass);
        used.reset_all();
    }
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
}

async fn a_burst_is_caught_up_with(members: usize) {
    let cluster = cluster(members).await;
    let proxies = Proxies::start(&cluster).await;
    let (reader, writer) = (connect(proxies.urls()).await, connect(cluster.client_urls()).await);
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let lists = reader.status().relists;
    proxies.refuse_all();
    // More than 8 MiB, twice what the client library takes in one message by itself.
    let label = "x".repeat(9_000);
    let mut writes = tokio::task::JoinSet::new();
    for task in 0..10 {
        let (writer, label) = (writer.clone(), label.clone());
        writes.spawn(async move {
            for n in 0..100 {
                let id = format!("{task}-{n}");
                writer.register("cart", instance(&id).with_metadata("label", &label)).await.unwrap();
            }
        });
    }
    writes.join_all().await;
    proxies.set(ProxyMode::Pass);
    until("all of it", &watch, Duration::from_secs(5), |s| s.entries.len() == 1001).await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    // The whole of it in one list, too.
    let late = connect(cluster.client_urls()).await;
    assert_eq!(late.instances("cart").await.unwrap().len(), 1001);
}
