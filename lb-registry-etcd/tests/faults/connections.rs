//! The network between this process and etcd.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{ServiceRegistry, registry::Override};
use lb_testkit::etcd::EtcdServer;
use lb_testkit::{Proxy, ProxyMode};

use crate::support::{Caller, connect, ids, instance, until, until_live};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_torn() {
    let etcd = EtcdServer::start().await.unwrap();
    let proxy = Proxy::start(etcd.client_address()).await.unwrap();
    let reader = connect([format!("http://{}", proxy.address())]).await;
    let writer = connect([etcd.client_url()]).await;
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let lists = reader.status().relists;
    let mut expected = vec!["a".to_owned()];
    for n in 0..10 {
        proxy.reset_all();
        let id = format!("b{n}");
        writer.register("cart", instance(&id)).await.unwrap();
        expected.push(id);
    }
    until("all of it", &watch, Duration::from_secs(2), |s| ids(s) == expected).await;
    caller.finish().await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    assert!(reader.status().reconnects >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_connection_swallows_everything() {
    let etcd = EtcdServer::start().await.unwrap();
    let proxy = Proxy::start(etcd.client_address()).await.unwrap();
    let reader = connect([format!("http://{}", proxy.address())]).await;
    let writer = connect([etcd.client_url()]).await;
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    for mode in [ProxyMode::BlackHole, ProxyMode::BlackHoleToClient, ProxyMode::BlackHoleToServer] {
        proxy.set(mode);
        until("stale", &watch, Duration::from_secs(6), |s| matches!(s.freshness, Freshness::Stale { .. }))
            .await;
        writer.set_override("cart", "a", Override::weight(3)).await.unwrap();
        proxy.set(ProxyMode::Pass);
        until_live("live again", &watch, Duration::from_secs(4), &["a"]).await;
        until("the write", &watch, Duration::from_secs(1), |s| s.entries.get("a").unwrap().weight() == 3)
            .await;
        writer.set_override("cart", "a", Override::NONE).await.unwrap();
    }
    caller.finish().await;
}

/// Old connections swallow everything, new ones work: a firewall that has lost its state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_connection_swallows_everything() {
    let etcd = EtcdServer::start().await.unwrap();
    let (first, second) = (
        Proxy::start(etcd.client_address()).await.unwrap(),
        Proxy::start(etcd.client_address()).await.unwrap(),
    );
    let urls = [format!("http://{}", first.address()), format!("http://{}", second.address())];
    let reader = connect(urls).await;
    let writer = connect([etcd.client_url()]).await;
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    for (n, proxy) in [&first, &second, &first].into_iter().enumerate() {
        proxy.set(ProxyMode::BlackHole);
        let id = format!("b{n}");
        writer.register("cart", instance(&id)).await.unwrap();
        until("seen over another connection", &watch, Duration::from_secs(5), |s| ids(s).contains(&&*id))
            .await;
        proxy.set(ProxyMode::Pass);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_caught_up_with() {
    let etcd = EtcdServer::start().await.unwrap();
    let proxy = Proxy::start(etcd.client_address()).await.unwrap();
    let reader = connect([format!("http://{}", proxy.address())]).await;
    let writer = connect([etcd.client_url()]).await;
    let watch = reader.watch("cart").await.unwrap();
    writer.register("cart", instance("a")).await.unwrap();
    until_live("registered", &watch, Duration::from_secs(2), &["a"]).await;
    let lists = reader.status().relists;
    proxy.set(ProxyMode::RefuseNew);
    proxy.reset_all();
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
    proxy.set(ProxyMode::Pass);
    until("all of it", &watch, Duration::from_secs(5), |s| s.entries.len() == 1001).await;
    assert_eq!(reader.status().relists, lists, "the watch was resumed");
    // The whole of it in one list, too.
    let late = connect([etcd.client_url()]).await;
    assert_eq!(late.instances("cart").await.unwrap().len(), 1001);
}
