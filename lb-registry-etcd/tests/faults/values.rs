//! Values that nobody can read, and stores that take none.

use std::time::Duration;

use lb_core::ServiceRegistry;
use lb_registry_etcd::{EtcdError, EtcdErrorKind};
use lb_testkit::etcd::{EtcdOptions, EtcdServer};

use crate::support::{
    Caller, cluster, cluster_with, connect, ids, instance, on_one_and_on_three, until, until_live,
};

on_one_and_on_three!(a_bad_value_is_left_out_and_counted, the_store_is_full);

async fn a_bad_value_is_left_out_and_counted(members: usize) {
    let cluster = cluster(members).await;
    let reader = connect(cluster.client_urls()).await;
    let watch = reader.watch("cart").await.unwrap();
    reader.register("cart", instance("a")).await.unwrap();
    for (key, value) in [
        ("lb/instances/cart/bad", "{"),
        ("lb/instances/cart/worse", "\u{1}\u{7f}"),
        ("lb/configs/cart", "[1, 2]"),
        ("lb/overrides/cart/a", "drain"),
    ] {
        cluster.etcdctl(&["put", key, value]).await.unwrap();
    }
    cluster.etcdctl(&["put", "lb/nonsense", "x"]).await.unwrap();
    until("counted", &watch, Duration::from_secs(1), |s| s.skipped == 4 && ids(s) == ["a"]).await;
    reader.register("cart", instance("b")).await.unwrap();
    until_live("others are not harmed", &watch, Duration::from_secs(1), &["a", "b"]).await;
    // The same for who lists it.
    let late = connect(cluster.client_urls()).await;
    let snapshot = late.watch("cart").await.unwrap().current();
    assert_eq!((snapshot.skipped, ids(&snapshot)), (4, vec!["a", "b"]));

    // What was good and is bad now stays in force.
    cluster.etcdctl(&["put", "lb/instances/cart/a", "{"]).await.unwrap();
    until("one more", &watch, Duration::from_secs(1), |s| s.skipped == 5 && ids(s) == ["a", "b"]).await;
    reader.register("cart", instance("a")).await.unwrap();
    reader.deregister("cart", "bad").await.unwrap();
    until("mended", &watch, Duration::from_secs(1), |s| s.skipped == 3).await;
    assert_eq!(reader.status().skipped, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_by_hand_is_read() {
    let etcd = EtcdServer::start().await.unwrap();
    let reader = connect([etcd.client_url()]).await;
    let watch = reader.watch("cart").await.unwrap();
    let value = r#"{"Op":0,"Addr":"10.0.0.7:9000","Metadata":{"rack":"b4"}}"#;
    etcd.etcdctl(&["put", "lb/instances/cart/10.0.0.7:9000", value]).await.unwrap();
    etcd.etcdctl(&["put", "lb/configs/cart", r#"{"max_retries":3}"#]).await.unwrap();
    etcd.etcdctl(&["put", "lb/overrides/cart/10.0.0.7:9000", r#"{"weight":5}"#]).await.unwrap();
    until("all of it", &watch, Duration::from_secs(1), |s| {
        s.config.as_ref().is_some_and(|entry| entry.config.max_retries() == 3)
            && s.entries.get("10.0.0.7:9000").is_some_and(|entry| {
                entry.weight() == 5 && entry.instance.address.as_deref() == Some("10.0.0.7:9000")
            })
    })
    .await;
    // On no lease, so it was deleted on purpose.
    etcd.etcdctl(&["del", "lb/instances/cart/10.0.0.7:9000"]).await.unwrap();
    until("gone at once", &watch, Duration::from_secs(1), |s| s.entries.is_empty()).await;
}

fn kind(error: &lb_core::RegistryError) -> Option<EtcdErrorKind> {
    Some(EtcdError::behind(error)?.kind())
}

async fn the_store_is_full(members: usize) {
    let cluster = cluster_with(members, EtcdOptions::new().quota_backend_bytes(1 << 20)).await;
    let urls = cluster.client_urls();
    let (owner, reader) = (connect(urls.clone()).await, connect(urls).await);
    let watch = reader.watch("cart").await.unwrap();
    let _a = owner.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(1), &["a"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let big = "x".repeat(100_000);
    let mut refused = None;
    for n in 0..100 {
        match owner.register("big", instance("b").with_metadata(format!("{n}"), big.clone())).await {
            Ok(()) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let refused = refused.expect("the quota was never reached");
    assert_eq!(kind(&refused), Some(EtcdErrorKind::NoSpace), "{refused:?}");
    // The lease is kept. What is lost meanwhile comes back when there is space.
    cluster.etcdctl(&["del", "lb/instances/cart/a"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let errors = owner.status().errors;
    assert!(errors > 0 && errors < 40, "{errors} errors in two seconds: it spins, or does not try");
    assert_eq!(ids(&watch.current()), ["a"], "the last one is kept");
    cluster.members()[0].compact().await.unwrap();
    for member in cluster.members() {
        member.etcdctl(&["defrag"]).await.unwrap();
    }
    cluster.etcdctl(&["alarm", "disarm"]).await.unwrap();
    until_live("back", &watch, Duration::from_secs(3), &["a"]).await;
    caller.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_large_is_refused() {
    let etcd = EtcdServer::start().await.unwrap();
    let registry = connect([etcd.client_url()]).await;
    let huge = instance("a").with_metadata("k", "x".repeat(2 << 20));
    let error = registry.register("cart", huge).await.unwrap_err();
    assert_eq!(kind(&error), Some(EtcdErrorKind::TooLarge), "{error:?}");
    registry.register("cart", instance("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_services_that_are_wanted_are_kept_and_unknown_names_leave_nothing_behind() {
    let etcd = EtcdServer::start().await.unwrap();
    let all = connect([etcd.client_url()]).await;
    for service in ["shop-cart", "shop-till", "billing"] {
        all.register(service, instance("a")).await.unwrap();
    }
    let some = crate::support::builder([etcd.client_url()])
        .services(|name| name.starts_with("shop-"))
        .connect()
        .await
        .unwrap();
    assert_eq!(some.services().await.unwrap(), ["shop-cart", "shop-till"]);
    assert!(some.instances("billing").await.unwrap().is_empty());
    // It can write what it does not keep, and keeps alive what it announces there.
    some.register("billing", instance("b")).await.unwrap();
    let _c = some.announce("billing", instance("c")).await.unwrap();
    let watch = all.watch("billing").await.unwrap();
    until_live("written", &watch, Duration::from_secs(1), &["a", "b", "c"]).await;
    etcd.etcdctl(&["del", "lb/instances/billing/c"]).await.unwrap();
    let again = || some.status().re_registrations == 1;
    crate::support::until_status("put again", Duration::from_secs(2), again).await;

    for n in 0..10_000 {
        let watch = all.watch(&format!("unknown-{n}")).await.unwrap();
        assert!(!watch.current().is_known());
    }
    let status = all.status();
    assert_eq!((status.services, status.watched, status.instances), (3, 1, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_too_large_for_one_message_is_read_in_parts() {
    let etcd = EtcdServer::start().await.unwrap();
    let writer = crate::support::builder([etcd.client_url()]).services(|_| false).connect().await.unwrap();
    // 72 MB; 64 MiB is the largest message that is taken.
    for n in 0..60 {
        let large = instance(&format!("{n:02}")).with_metadata("k", "x".repeat(1_200_000));
        writer.register("cart", large).await.unwrap();
    }
    let late = connect([etcd.client_url()]).await;
    assert_eq!(late.instances("cart").await.unwrap().len(), 60);
}
