//! Rules on what comes back: exactly what was written.

use super::bench::Bench;
use super::samples::{full_config, full_instances};
use crate::config::ServiceConfig;

pub(super) async fn an_instance_keeps_every_field(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for instance in full_instances() {
        bench.register("s", instance.clone()).await;
        watch.until_is(&instance).await;
    }
    for instance in full_instances() {
        let announcement = bench.announce("t", instance.clone()).await;
        bench.watch("t").await.until_is(&instance).await;
        drop(announcement);
    }
}

async fn comes_back(bench: &Bench, config: ServiceConfig) {
    let mut watch = bench.watch("s").await;
    bench.set_config("s", config.clone()).await;
    let what = format!("the configuration {config:?}");
    let same = |found: Option<&ServiceConfig>| found == Some(&config);
    watch.until(&what, |s| same(s.config.as_ref().map(|entry| &entry.config))).await;
    let read = async |bench: Bench| bench.config("s").await;
    bench.eventually("`config`", read, |found| same(found.as_ref().map(|entry| &entry.config))).await;
}

pub(super) async fn a_config_keeps_every_field(bench: Bench) {
    comes_back(&bench, ServiceConfig::default()).await;
    comes_back(&bench, full_config()).await;
}

pub(super) async fn a_config_keeps_fields_of_a_newer_version(bench: Bench) {
    let json = r#"{ "max_retries": 3, "from_the_future": { "a": [1, null, "x"], "b": -0.5 }, "flag": true }"#;
    match serde_json::from_str::<ServiceConfig>(json) {
        Ok(config) => comes_back(&bench, config).await,
        Err(error) => unreachable!("the contract test wrote a bad configuration: {error}"),
    }
}
