//! Rules on instances that are there as long as somebody stands behind them.

use std::sync::mpsc;
use std::time::Duration;

use super::bench::Bench;
use super::observer::ids;
use crate::instance::Instance;
use crate::registry::{InstanceState, Override, RegistryError};

pub(super) async fn an_announced_instance_is_seen(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let _announcement = bench.announce("s", Instance::new("a").with_weight(3)).await;
    let entry = watch.until_is(&Instance::new("a").with_weight(3)).await;
    assert_eq!(entry.state, InstanceState::Ready, "{bench}: an announced instance is not ready");
    bench.lists(&["s"]).await;
}

pub(super) async fn an_announced_instance_stays(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcement = bench.announce("s", Instance::new("a")).await;
    bench.register_ids("s", &["b"]).await;
    watch.until_ids(&["a", "b"]).await;
    watch.stays_ids(&["a", "b"]).await;
    drop(announcement);
    watch.until_ids(&["b"]).await;
}

pub(super) async fn an_update_replaces_the_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut announcement = bench.announce("s", Instance::new("a").with_weight(1)).await;
    let mut last = watch.until_is(&Instance::new("a").with_weight(1)).await.revision;
    for weight in 2..5 {
        let instance = Instance::new("a").with_weight(weight);
        bench.succeeds("updating", announcement.update(instance.clone()).await);
        let now = watch.until_is(&instance).await.revision;
        assert!(now > last, "{bench}: the updated instance has revision {now}, after {last}");
        last = now;
    }
    watch.stays_ids(&["a"]).await;
    drop(announcement);
    watch.until_ids(&[]).await;
}

pub(super) async fn an_update_keeps_the_override(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut announcement = bench.announce("s", Instance::new("a")).await;
    bench.set_override("s", "a", Override::drain()).await;
    bench.succeeds("updating", announcement.update(Instance::new("a").with_weight(2)).await);
    watch.until_is(&Instance::new("a").with_weight(2)).await;
    watch.stays("the override", |s| s.entries.get("a").is_some_and(|e| e.over == Override::drain())).await;
    drop(announcement);
    // An override is not a takeover: the announcement still owns the id.
    watch.until_ids(&[]).await;
}

pub(super) async fn an_update_cannot_change_the_id(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register("s", Instance::new("b")).await;
    let mut announcement = bench.announce("s", Instance::new("a")).await;
    watch.until_ids(&["a", "b"]).await;
    for other in ["b", "c"] {
        let result = announcement.update(Instance::new(other).with_weight(9)).await;
        let error = bench.fails("updating to another id", result);
        assert!(
            matches!(error, RegistryError::InvalidInstance { .. }),
            "{bench}: updating to another id is refused with {error:?}, not `InvalidInstance`"
        );
    }
    watch
        .stays("what was there", |s| ids(s) == ["a", "b"] && s.entries.iter().all(|e| e.weight() == 1))
        .await;
    bench.succeeds("updating", announcement.update(Instance::new("a").with_weight(2)).await);
    watch.until_is(&Instance::new("a").with_weight(2)).await;
}

pub(super) async fn a_dropped_announcement_takes_its_instance_out(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["b"]).await;
    let first = bench.announce("s", Instance::new("a")).await;
    let second = bench.announce("s", Instance::new("c")).await;
    watch.until_ids(&["a", "b", "c"]).await;
    drop(first);
    watch.until_ids(&["b", "c"]).await;
    drop(second);
    watch.until_ids(&["b"]).await;
    watch.stays_ids(&["b"]).await;
}

pub(super) async fn an_announcement_is_dropped_without_a_runtime(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcement = bench.announce("s", Instance::new("a")).await;
    watch.until_ids(&["a"]).await;
    let (dropped, waiting) = mpsc::channel();
    std::thread::spawn(move || {
        drop(announcement);
        let _ = dropped.send(());
    });
    // Blocks the runtime on purpose: dropping must not need it.
    match waiting.recv_timeout(bench.settle) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => {
            panic!("{bench}: dropping an announcement waits for the runtime")
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{bench}: dropping one outside a runtime panics"),
    }
    watch.until_ids(&[]).await;
}

pub(super) async fn an_announced_instance_can_be_deregistered(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let dropped = bench.announce("s", Instance::new("a")).await;
    let left = bench.announce("s", Instance::new("b")).await;
    watch.until_ids(&["a", "b"]).await;
    for id in ["a", "b"] {
        assert!(bench.deregister("s", id).await, "{bench}: an announced instance was not there");
    }
    watch.until_ids(&[]).await;
    watch.stays_ids(&[]).await;
    drop(dropped);
    bench.succeeds("leaving after it was deregistered", left.leave(Duration::ZERO).await);
    watch.stays_ids(&[]).await;
    bench.lists(&[]).await;
}
