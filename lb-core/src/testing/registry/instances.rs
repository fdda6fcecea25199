//! Rules on registering and deregistering.

use std::time::Duration;

use super::bench::Bench;
use super::observer::{ids, retries};
use super::samples::config;
use crate::instance::Instance;
use crate::registry::{InstanceState, Override};

pub(super) async fn a_registered_instance_is_seen(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register("s", Instance::new("b").with_weight(3)).await;
    let entry = watch.until_is(&Instance::new("b").with_weight(3)).await;
    assert_eq!(entry.state, InstanceState::Ready, "{bench}: a registered instance is not ready");
    assert_eq!(entry.over, Override::NONE, "{bench}: something lies over a new instance");
    assert_eq!(entry.weight(), 3, "{bench}: a new instance does not have its own weight");

    bench.register("s", Instance::new("a")).await;
    watch.until_ids(&["a", "b"]).await;
    let read =
        async |bench: Bench| bench.instances("s").await.iter().map(|e| e.id().to_owned()).collect::<Vec<_>>();
    bench.eventually("`instances`, which should be a and b,", read, |ids| ids == &["a", "b"]).await;
}

pub(super) async fn the_same_id_replaces(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register("s", Instance::new("a").with_address("old")).await;
    let old = watch.until_is(&Instance::new("a").with_address("old")).await;
    bench.register("s", Instance::new("a").with_address("new")).await;
    let new = watch.until_is(&Instance::new("a").with_address("new")).await;
    assert!(
        new.revision > old.revision,
        "{bench}: the replacing instance has revision {}, the replaced one had {}",
        new.revision,
        old.revision
    );
    watch.stays_ids(&["a"]).await;

    // The same value once more is a new write: it clears what balancers hold against the instance.
    bench.register("s", Instance::new("a").with_address("new")).await;
    watch.until_entry("a newer revision of the same instance", "a", |e| e.revision > new.revision).await;
}

pub(super) async fn deregistering_takes_out_one_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a", "ab", "b"]).await;
    watch.until_ids(&["a", "ab", "b"]).await;
    bench.deregister("s", "a").await;
    watch.until_ids(&["ab", "b"]).await;
    watch.stays_ids(&["ab", "b"]).await;
}

pub(super) async fn deregistering_says_whether_it_was_there(bench: Bench) {
    assert!(!bench.deregister("s", "a").await, "{bench}: an instance of an unknown service was there");
    bench.register_ids("s", &["a"]).await;
    assert!(!bench.deregister("s", "b").await, "{bench}: an unknown instance was there");
    assert!(!bench.deregister("t", "a").await, "{bench}: the instance of another service was there");
    assert!(bench.deregister("s", "a").await, "{bench}: a registered instance was not there");
    assert!(!bench.deregister("s", "a").await, "{bench}: a deregistered instance was still there");
}

pub(super) async fn services_do_not_share_instances(bench: Bench) {
    let (mut s, mut t) = (bench.watch("s").await, bench.watch("t").await);
    bench.register("s", Instance::new("a").with_weight(1)).await;
    bench.register("t", Instance::new("a").with_weight(2)).await;
    s.until_is(&Instance::new("a").with_weight(1)).await;
    t.until_is(&Instance::new("a").with_weight(2)).await;
    bench.deregister("s", "a").await;
    s.until_ids(&[]).await;
    t.stays_ids(&["a"]).await;
}

pub(super) async fn a_cancelled_write_is_done_or_not_done(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let whole = Instance::new("cancelled").with_address("a").with_metadata("k", "v");
    let _ = tokio::time::timeout(Duration::ZERO, bench.registry.register("s", whole.clone())).await;
    let _ = tokio::time::timeout(Duration::ZERO, bench.registry.set_config("s", config(1))).await;

    bench.register("s", Instance::new("next")).await;
    let is_whole = |entry: &crate::registry::Entry<Instance>| *entry.instance == whole;
    watch.until("a write after a cancelled one", |s| s.entries.get("next").is_some()).await;
    watch
        .stays("what a cancelled write left", |s| {
            s.entries.get("cancelled").is_none_or(|entry| is_whole(entry))
                && ids(s).contains(&"next")
                && matches!(retries(s), None | Some(1))
        })
        .await;
}
