//! Users, tokens, permissions, certificates.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::{EtcdErrorKind, EtcdRegistry, Tls, WhenDown};
use lb_testkit::etcd::{EtcdCluster, EtcdOptions, EtcdServer};

use crate::support::{
    Caller, TTL, builder, cluster_with, instance, on_one_and_on_three, until_live, until_status,
};

on_one_and_on_three!(at once: tokens_run_out);

/// Enables authentication; `app` may read and write `lb/`, `reader` may only read it.
async fn with_auth(members: usize, options: EtcdOptions) -> EtcdCluster {
    let cluster = cluster_with(members, options).await;
    for args in [
        &["user", "add", "root:rootpw"][..],
        &["user", "add", "app:apppw"],
        &["user", "add", "reader:readerpw"],
        &["user", "add", "nobody:nobodypw"],
        &["role", "add", "app"],
        &["role", "grant-permission", "app", "--prefix=true", "readwrite", "lb/"],
        &["role", "add", "reader"],
        &["role", "grant-permission", "reader", "--prefix=true", "read", "lb/"],
        &["user", "grant-role", "root", "root"],
        &["user", "grant-role", "app", "app"],
        &["user", "grant-role", "reader", "reader"],
        &["auth", "enable"],
    ] {
        cluster.etcdctl(args).await.unwrap();
    }
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_in_the_documentation_suffice() {
    let cluster = with_auth(1, EtcdOptions::new()).await;
    let app = builder(cluster.client_urls()).user("app", "apppw").connect().await.unwrap();
    let watch = app.watch("cart").await.unwrap();
    let announcement = app.announce("cart", instance("a")).await.unwrap();
    app.register("cart", instance("b")).await.unwrap();
    app.set_override("cart", "b", lb_core::registry::Override::weight(2)).await.unwrap();
    app.set_config("cart", lb_core::ServiceConfig::default()).await.unwrap();
    assert!(app.deregister("cart", "b").await.unwrap());
    until_live("written", &watch, Duration::from_secs(1), &["a"]).await;

    let reader = builder(cluster.client_urls()).user("reader", "readerpw").connect().await.unwrap();
    assert_eq!(reader.instances("cart").await.unwrap().len(), 1);
    let refused = reader.register("cart", instance("c")).await.unwrap_err();
    assert!(format!("{:?}", std::error::Error::source(&refused)).contains("PermissionDenied"), "{refused:?}");
    announcement.leave(Duration::ZERO).await.unwrap();

    // What can never succeed fails at once, and says why, without the password.
    for (user, password, kind) in [
        ("nobody", "nobodypw", EtcdErrorKind::PermissionDenied),
        ("app", "wrong-password", EtcdErrorKind::Unauthenticated),
    ] {
        let waiting = builder(cluster.client_urls()).user(user, password).when_down(WhenDown::Wait).connect();
        let error = tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error:?} {error}").contains(password));
    }
    let builder = builder(cluster.client_urls()).user("app", "apppw");
    assert!(!format!("{builder:?} {app:?}").contains("apppw"));
}

async fn tokens_run_out(members: usize) {
    let cluster = with_auth(members, EtcdOptions::new().auth_token_ttl(2)).await;
    let app = builder(cluster.client_urls()).user("app", "apppw").connect().await.unwrap();
    let watch = app.watch("cart").await.unwrap();
    let _a = app.announce("cart", instance("a")).await.unwrap();
    until_live("announced", &watch, Duration::from_secs(1), &["a"]).await;
    let caller = Caller::start(&app, "cart").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    app.register("cart", instance("b")).await.unwrap();
    until_live("written with a new token", &watch, Duration::from_secs(1), &["a", "b"]).await;
    // A new stream with an old token.
    cluster.kill_all();
    cluster.heal().await.unwrap();
    until_live("watched with a new token", &watch, Duration::from_secs(3), &["a", "b"]).await;
    app.register("cart", instance("c")).await.unwrap();
    until_live("written", &watch, Duration::from_secs(1), &["a", "b", "c"]).await;
    tokio::time::sleep(TTL).await;
    until_live("the lease is kept", &watch, Duration::from_secs(1), &["a", "b", "c"]).await;
    caller.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_where_there_is_no_authentication_is_not_needed() {
    let etcd = EtcdServer::start().await.unwrap();
    let registry = builder([etcd.client_url()]).user("app", "apppw").connect().await.unwrap();
    registry.register("cart", instance("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_on_both_sides() {
    let etcd = EtcdServer::start_with(EtcdOptions::new().tls(lb_testkit::Tls::Mutual)).await.unwrap();
    let certificates = etcd.certificates().unwrap();
    let read = |path| std::fs::read(path).unwrap();
    let ca = read(certificates.authority());
    let identity = (read(certificates.client()), read(certificates.client_key()));
    let good = Tls::new().ca_certificate(ca.clone()).identity(identity.0, identity.1);
    let registry = builder([etcd.client_url()]).tls(good.clone()).connect().await.unwrap();
    registry.register("cart", instance("a")).await.unwrap();
    assert_eq!(registry.instances("cart").await.unwrap().len(), 1);
    assert!(!format!("{good:?} {registry:?}").contains("PRIVATE KEY"));

    for (what, tls) in
        [("no certificate of its own", Tls::new().ca_certificate(ca)), ("no authority", Tls::new())]
    {
        let short = Duration::from_secs(2);
        let error = builder([etcd.client_url()]).tls(tls).initial_timeout(short).connect().await.unwrap_err();
        println!("{what}: {error}");
        assert_eq!(error.kind(), EtcdErrorKind::Unavailable, "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_there_at_the_start() {
    let port = lb_testkit::reserve_port().unwrap();
    let url = format!("http://127.0.0.1:{}", port.number());
    let short = Duration::from_millis(500);
    let error = builder([url.clone()]).initial_timeout(short).connect().await.unwrap_err();
    assert_eq!(error.kind(), EtcdErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(&url), "{error}");

    let etcd = EtcdServer::start().await.unwrap();
    etcd.kill9();
    let going =
        builder([etcd.client_url()]).initial_timeout(short).when_down(WhenDown::Go).connect().await.unwrap();
    assert!(going.instances("cart").await.unwrap().is_empty());
    assert!(going.last_error().is_some());
    let waiting: tokio::task::JoinHandle<EtcdRegistry<Instance>> = tokio::spawn({
        let builder = builder([etcd.client_url()]).initial_timeout(short).when_down(WhenDown::Wait);
        async move { builder.connect().await.unwrap() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    etcd.restart().await.unwrap();
    let waited = waiting.await.unwrap();
    waited.register("cart", instance("a")).await.unwrap();
    until_status("filled", Duration::from_secs(3), || going.status().instances == 1).await;
    assert!(going.last_error().is_none());
}
