//! Rules on the configuration of a service.

use super::bench::Bench;
use super::observer::{ids, retries};
use super::samples::config;
use crate::instance::Instance;
use crate::registry::{Override, Revision};

pub(super) async fn a_config_is_set_and_replaced(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut last = Revision::NONE;
    for n in [1, 2, 2, 0] {
        bench.set_config("s", config(n)).await;
        let what = format!("the configuration with {n} retries, at a revision after {last}");
        let newer = |s: &crate::registry::Snapshot<Instance>| {
            retries(s) == Some(n) && s.config.as_ref().is_some_and(|entry| entry.revision > last)
        };
        let snapshot = watch.until(&what, newer).await;
        last = snapshot.config.as_ref().map_or(last, |entry| entry.revision);
    }
    let read = async |bench: Bench| {
        let entry = bench.config("s").await?;
        Some((entry.config.max_retries(), entry.revision))
    };
    bench.eventually("`config`", read, |found| *found == Some((0, last))).await;
}

pub(super) async fn a_config_is_removed(bench: Bench) {
    let mut watch = bench.watch("s").await;
    assert!(!bench.remove_config("s").await, "{bench}: an unknown service had a configuration");
    bench.set_config("s", config(1)).await;
    bench.set_config("t", config(2)).await;
    watch.until_retries(1).await;
    assert!(bench.remove_config("s").await, "{bench}: there was none, though one was set");
    watch.until("no configuration", |s| s.config.is_none()).await;
    assert!(!bench.remove_config("s").await, "{bench}: it was removed twice");
    watch.stays("an unset configuration", |s| s.config.is_none()).await;
    bench.watch("t").await.until_retries(2).await;
}

pub(super) async fn config_and_instances_do_not_touch_each_other(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a", "b"]).await;
    bench.set_override("s", "a", Override::weight(7)).await;
    bench.set_config("s", config(1)).await;
    let overridden = |s: &crate::registry::Snapshot<Instance>| s.entries.iter().any(|e| e.weight() == 7);
    let before =
        watch.until("all writes", |s| ids(s) == ["a", "b"] && overridden(s) && retries(s) == Some(1)).await;
    let revision = before.config.as_ref().map(|entry| entry.revision);

    bench.register_ids("s", &["a", "c"]).await;
    bench.deregister("s", "b").await;
    let after = watch.until_ids(&["a", "c"]).await;
    let now = after.config.as_ref().map(|entry| entry.revision);
    assert_eq!(retries(&after), Some(1), "{bench}: a write to an instance has changed the configuration");
    assert_eq!(now, revision, "{bench}: a write to an instance has moved the configuration's revision");

    bench.remove_config("s").await;
    watch.until("no configuration", |s| s.config.is_none()).await;
    watch.stays("the instances", |s| ids(s) == ["a", "c"] && overridden(s)).await;
}

pub(super) async fn a_service_may_have_only_a_config(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.set_config("s", config(1)).await;
    let snapshot = watch.until_retries(1).await;
    assert!(snapshot.entries.is_empty(), "{bench}: instances came with the configuration: {snapshot:?}");
    bench.register_ids("s", &["a"]).await;
    watch.until_ids(&["a"]).await;
    bench.deregister("s", "a").await;
    watch.until_ids(&[]).await;
    watch.stays("the configuration", |s| retries(s) == Some(1)).await;
}
