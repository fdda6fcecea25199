//! Passwords are printed nowhere. A program of its own: what is logged depends on who else listens in the process.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, EtcdRegistryBuilder};
use lb_testkit::Log;
use lb_testkit::etcd::EtcdServer;

const SECRET: &str = "hunter2-in-the-password";
const KEY: &str = "sk-in-the-instance";

fn builder(urls: [String; 1]) -> EtcdRegistryBuilder<Instance> {
    EtcdRegistry::builder(urls).ttl(Duration::from_secs(5))
}

/// One thread: everything that happens in it is logged here, also by the HTTP/2 library at its most talkative.
#[tokio::test]
async fn they_are_not_in_logs_errors_status_or_debug_output() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let etcd = EtcdServer::start().await.unwrap();
    for args in [
        &["user", "add", &format!("root:{SECRET}")][..],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        etcd.etcdctl(args).await.unwrap();
    }
    let settings = builder([etcd.client_url()]).user("root", SECRET);
    log.see(&settings);
    let registry = settings.connect().await.unwrap();
    let keyed = || Instance::new("a").with_metadata("key", KEY);
    registry.register("cart", keyed()).await.unwrap();
    let announcement = registry.announce("cart", keyed().with_weight(2)).await.unwrap();
    let watch = registry.watch("cart").await.unwrap();
    log.see(&registry);
    log.see(&announcement);
    log.see(&registry.status());
    log.see(
        &registry.register("cart", keyed().with_metadata("huge", "x".repeat(2 << 20))).await.unwrap_err(),
    );
    let wrong = builder([etcd.client_url()]).user("root", format!("{SECRET}-but-wrong")).connect().await;
    log.see(&wrong.unwrap_err());
    etcd.kill9();
    log.see(&registry.register("cart", keyed()).await.unwrap_err());
    etcd.restart().await.unwrap();
    let live = || (registry.status().freshness == lb_core::registry::Freshness::Live).then_some(());
    lb_testkit::eventually("live again", Duration::from_secs(20), live).await.unwrap();
    assert_eq!(watch.current().entries.len(), 1);

    assert!(log.text().contains("following etcd"), "nothing was logged");
    log.must_not_have(&[SECRET, KEY]);
}
