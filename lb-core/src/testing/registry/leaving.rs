//! Rules on leaving gracefully: drain, then remove.

use std::time::Duration;

use super::bench::Bench;
use super::observer::ids;
use crate::instance::Instance;
use crate::registry::{Entry, InstanceState};

pub(super) async fn leaving_drains_then_removes(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcement = bench.announce("s", Instance::new("a").with_weight(3)).await;
    let before = watch.until_is(&Instance::new("a").with_weight(3)).await;

    let grace = bench.quiet * 5;
    let start = tokio::time::Instant::now();
    let leaving = tokio::spawn(announcement.leave(grace));
    let draining = watch
        .until("the leaving instance to drain before it goes", |s| {
            s.entries.get("a").is_none_or(|entry| entry.state == InstanceState::Draining)
        })
        .await;
    let Some(draining) = draining.entries.get("a") else { panic!("{bench}: it went without draining") };
    assert_eq!(draining.weight(), 0, "{bench}: a draining instance has a weight");
    assert!(draining.is_draining(), "{bench}: a draining instance does not say so");
    assert_eq!(
        draining.revision, before.revision,
        "{bench}: draining counts as registering the instance anew"
    );

    watch.until_ids(&[]).await;
    assert!(
        start.elapsed() >= grace,
        "{bench}: it went after {:?}, before its grace was over",
        start.elapsed()
    );
    match leaving.await {
        Ok(result) => bench.succeeds("leaving", result),
        Err(failed) => panic!("{bench}: leaving panicked: {failed}"),
    }
    bench.lists(&[]).await;
}

pub(super) async fn leaving_without_grace_removes(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcement = bench.announce("s", Instance::new("a")).await;
    watch.until_ids(&["a"]).await;
    bench.succeeds("leaving", announcement.leave(Duration::ZERO).await);
    watch.until_ids(&[]).await;
    watch.stays_ids(&[]).await;
}

pub(super) async fn leaving_touches_nobody_else(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["b"]).await;
    let _stays = bench.announce("s", Instance::new("c")).await;
    let leaves = bench.announce("s", Instance::new("a")).await;
    watch.until_ids(&["a", "b", "c"]).await;
    bench.succeeds("leaving", leaves.leave(Duration::ZERO).await);
    watch.until_ids(&["b", "c"]).await;
    watch
        .stays("another instance", |s| ids(s) == ["b", "c"] && s.entries.iter().all(|e| !e.is_draining()))
        .await;
}

pub(super) async fn a_cancelled_leave_removes(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcement = bench.announce("s", Instance::new("a")).await;
    watch.until_ids(&["a"]).await;
    // A day, so that it is the cancelling that removes it.
    let leaving = tokio::spawn(announcement.leave(Duration::from_secs(24 * 3600)));
    watch.until_entry("the leaving instance to drain", "a", Entry::is_draining).await;
    leaving.abort();
    watch.until_ids(&[]).await;
}
