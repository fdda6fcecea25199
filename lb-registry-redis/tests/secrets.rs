//! Passwords are printed nowhere. A program of its own: what is logged depends on who else listens in the process.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{Instance, Secret, ServiceRegistry};
use lb_registry_redis::{RedisRegistry, RedisRegistryBuilder};
use lb_testkit::Log;
use lb_testkit::redis::{RedisOptions, RedisServer};

const SECRET: &str = "hunter2-in-the-password";
const KEY: &str = "sk-in-the-instance";

fn builder(url: &str) -> RedisRegistryBuilder<Instance> {
    RedisRegistry::builder(url).unwrap()
}

/// With all its causes.
fn see_error(log: &Log, error: &dyn std::error::Error) {
    log.see(&error);
    let mut cause = Some(error);
    while let Some(error) = cause {
        log.see(&error.to_string());
        cause = error.source();
    }
}

/// One thread: everything that happens in it is logged here.
#[tokio::test]
async fn they_are_not_in_logs_errors_status_or_debug_output() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let rules = format!("on >{SECRET} ~* &* +@all");
    let redis = RedisServer::start_with(RedisOptions::new().user("alice", &rules)).await.unwrap();
    let address = redis.address();

    let dir = lb_testkit::scratch_dir("redis-secrets").unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, SECRET).unwrap();
    let settings = [
        builder(&format!("redis://alice:{SECRET}@{address}/0")),
        builder(&redis.url()).credentials("alice", SECRET),
        builder(&redis.url()).credentials_from("alice", Secret::file(&file)),
        builder(&redis.url()).credentials("alice", SECRET).sentinel_credentials("alice", SECRET),
    ];
    let mut registries = Vec::new();
    for settings in settings {
        log.see(&settings);
        registries.push(settings.connect().await.unwrap());
    }
    let registry = &registries[0];
    let keyed = || Instance::new("a").with_metadata("key", KEY);
    registry.register("cart", keyed()).await.unwrap();
    let announcement = registry.announce("cart", keyed().with_weight(2)).await.unwrap();
    let watch = registry.watch("cart").await.unwrap();
    log.see(registry);
    log.see(&announcement);
    log.see(&registry.status());
    redis.cli(&["ACL", "SETUSER", "alice", "-hset"]).await.unwrap();
    see_error(&log, &registry.register("cart", keyed().with_weight(3)).await.unwrap_err());
    redis.cli(&["ACL", "SETUSER", "alice", "+hset"]).await.unwrap();
    for settings in [
        builder(&redis.url()).credentials("alice", format!("{SECRET}-wrong")),
        builder(&format!("redis://alice:{SECRET}-wrong@{address}")),
    ] {
        see_error(&log, &settings.wait(Duration::from_secs(1)).connect().await.unwrap_err());
    }
    for url in [
        format!("http://alice:{SECRET}@{address}"),
        format!("redis://alice:{SECRET}@{address}/one"),
        format!("redis://alice:{SECRET}@"),
        format!("redis://alice:{SECRET}%zz@{address}"),
        format!("redis://alice:{SECRET}@{address}:port"),
        format!("redis+sentinel://alice:{SECRET}@{address}"),
        format!("redis+cluster://alice:{SECRET}@{address}/3"),
    ] {
        see_error(&log, &RedisRegistry::<Instance>::builder(&url).unwrap_err());
    }

    redis.kill9();
    log.see(&registry.register("cart", keyed()).await.unwrap_err());
    redis.restart().await.unwrap();
    let live = || (registry.status().freshness == Freshness::Live).then_some(());
    lb_testkit::eventually("live again", Duration::from_secs(20), live).await.unwrap();
    assert_eq!(watch.current().entries.len(), 1);

    assert!(log.text().contains("connected to Redis"), "nothing was logged");
    log.must_not_have(&[SECRET, KEY]);
}
