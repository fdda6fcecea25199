//! A start while etcd is away, with what the last run knew.

use std::time::Duration;

use lb_core::registry::{Freshness, Override};
use lb_core::{ServiceConfig, ServiceRegistry};

use crate::support::{Caller, builder, cluster, ids, instance, on_one_and_on_three, until, until_live};

on_one_and_on_three!(at once: it_begins_with_what_it_knew_and_goes_on_with_what_is_there);

async fn it_begins_with_what_it_knew_and_goes_on_with_what_is_there(members: usize) {
    let cluster = cluster(members).await;
    let dir = lb_testkit::scratch_dir("cold").unwrap();
    let file = dir.path().join("registry.cache");
    let short = Duration::from_millis(500);
    let settings = || builder(cluster.client_urls()).cache(&file).initial_timeout(short);

    // Nothing is there yet: neither etcd nor a cache.
    cluster.kill_all();
    assert!(settings().connect().await.is_err());
    cluster.heal().await.unwrap();

    let first = settings().initial_timeout(Duration::from_secs(20)).connect().await.unwrap();
    for id in ["a", "b", "c"] {
        first.register("cart", instance(id)).await.unwrap();
    }
    first.set_config("cart", ServiceConfig::builder().max_retries(7).build().unwrap()).await.unwrap();
    first.set_override("cart", "b", Override::weight(5)).await.unwrap();
    let written = || std::fs::metadata(&file).is_ok_and(|file| file.len() > 200).then_some(());
    lb_testkit::eventually("the cache is written", Duration::from_secs(30), written).await.unwrap();
    let known = first.watch("cart").await.unwrap().current();
    drop(first);

    cluster.kill_all();
    let second = settings().connect().await.unwrap();
    let watch = second.watch("cart").await.unwrap();
    let cold = watch.current();
    assert_eq!((ids(&cold), cold.freshness), (vec!["a", "b", "c"], Freshness::ColdCache));
    assert_eq!(cold.config.as_ref().unwrap().config.max_retries(), 7);
    assert_eq!(cold.entries.get("b").unwrap().weight(), 5);
    assert_eq!(second.services().await.unwrap(), ["cart"]);
    let caller = Caller::start(&second, "cart").await;

    cluster.heal().await.unwrap();
    until_live("live", &watch, Duration::from_secs(3), &["a", "b", "c"]).await;
    assert!(watch.current().revision >= known.revision);
    second.register("cart", instance("d")).await.unwrap();
    until("a write", &watch, Duration::from_secs(1), |s| ids(s) == ["a", "b", "c", "d"]).await;
    caller.finish().await;
}
