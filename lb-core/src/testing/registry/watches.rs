//! Rules on watching.

use std::sync::Arc;

use super::bench::Bench;
use super::observer::{ids, retries};
use super::samples::config;
use crate::instance::Instance;
use crate::registry::Revision;

pub(super) async fn an_unknown_service_is_empty(bench: Bench) {
    bench.register_ids("other", &["a"]).await;
    bench.set_config("other", config(1)).await;
    let mut watch = bench.watch("s").await;
    let snapshot = watch.current();
    assert!(snapshot.entries.is_empty(), "{bench}: it has instances: {snapshot:?}");
    assert!(snapshot.config.is_none(), "{bench}: it has a configuration: {snapshot:?}");
    assert_eq!(snapshot.revision, Revision::NONE, "{bench}: it has been written");
    watch.stays("an unknown service", |s| !s.is_known()).await;
}

pub(super) async fn an_unknown_service_comes_into_being(bench: Bench) {
    let mut by_instance = bench.watch("instance").await;
    let mut by_config = bench.watch("config").await;
    let mut by_announcement = bench.watch("announcement").await;
    // Watched before the write, so that the wake-up itself is checked.
    let waiting = tokio::spawn(async move {
        by_instance.until_ids(&["a"]).await;
        by_config.until_retries(1).await;
        by_announcement.until_ids(&["a"]).await;
    });
    tokio::task::yield_now().await;
    bench.register_ids("instance", &["a"]).await;
    bench.set_config("config", config(1)).await;
    let _announcement = bench.announce("announcement", Instance::new("a")).await;
    if let Err(failed) = waiting.await {
        std::panic::resume_unwind(failed.into_panic());
    }
}

pub(super) async fn a_service_may_vanish_and_return(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for _ in 0..3 {
        bench.register_ids("s", &["a"]).await;
        let there = watch.until_ids(&["a"]).await.revision;
        bench.deregister("s", "a").await;
        let gone = watch.until_ids(&[]).await.revision;
        assert!(gone > there, "{bench}: deregistering has not moved the revision from {there}");
    }
    bench.set_config("s", config(1)).await;
    watch.until_retries(1).await;
    bench.remove_config("s").await;
    watch.until("no configuration", |s| s.config.is_none()).await;
    bench.register_ids("s", &["b"]).await;
    watch.until_ids(&["b"]).await;
}

pub(super) async fn the_latest_snapshot_is_seen(bench: Bench) {
    let mut watch = bench.watch("s").await;
    // Nobody reads the watch meanwhile; what is in between may be skipped.
    for n in 1..=50 {
        bench.register("s", Instance::new("a").with_weight(n)).await;
    }
    watch.until_is(&Instance::new("a").with_weight(50)).await;
    watch.stays("the last write", |s| s.entries.get("a").is_some_and(|e| e.weight() == 50)).await;
}

pub(super) async fn every_watch_sees_a_write(bench: Bench) {
    let mut watches = Vec::new();
    for _ in 0..5 {
        watches.push(bench.watch("s").await);
    }
    bench.register_ids("s", &["a"]).await;
    for watch in &mut watches {
        watch.until_ids(&["a"]).await;
    }
    bench.set_config("s", config(1)).await;
    for watch in &mut watches {
        watch.until_retries(1).await;
    }
}

pub(super) async fn a_late_watch_sees_what_was_written(bench: Bench) {
    bench.register_ids("s", &["a", "b"]).await;
    bench.set_config("s", config(1)).await;
    let mut early = bench.watch("s").await;
    let first = early.until("all writes", |s| ids(s) == ["a", "b"] && retries(s) == Some(1)).await;
    let mut late = bench.watch("s").await;
    let second = late.until("all writes", |s| ids(s) == ["a", "b"] && retries(s) == Some(1)).await;
    for (one, other) in first.entries.iter().zip(second.entries.iter()) {
        assert_eq!(one.revision, other.revision, "{bench}: two watches disagree on {:?}", one.id());
    }
}

pub(super) async fn dropping_a_watch_leaves_others_alone(bench: Bench) {
    let (first, mut second) = (bench.watch("s").await, bench.watch("s").await);
    drop(first);
    bench.register_ids("s", &["a"]).await;
    let seen = second.until_ids(&["a"]).await;
    let third = bench.watch("s").await;
    drop(second);
    drop(third);
    let mut fourth = bench.watch("s").await;
    let seen_again = fourth.until_ids(&["a"]).await;
    assert!(seen_again.revision >= seen.revision, "{bench}: the revision has gone back between two watches");
    assert_eq!(
        Arc::unwrap_or_clone(seen).entries.iter().map(|e| e.revision).collect::<Vec<_>>(),
        seen_again.entries.iter().map(|e| e.revision).collect::<Vec<_>>(),
        "{bench}: the instance was not written again, but has another revision"
    );
}

pub(super) async fn a_service_watched_before_can_be_watched_again(bench: Bench) {
    for _ in 0..3 {
        drop(bench.watch("s").await);
    }
    let mut watch = bench.watch("s").await;
    drop(bench.watch("s").await);
    bench.register_ids("s", &["a"]).await;
    watch.until_ids(&["a"]).await;
    drop(watch);
    bench.deregister("s", "a").await;
    let mut watch = bench.watch("s").await;
    watch.until_ids(&[]).await;
    bench.register_ids("s", &["b"]).await;
    watch.until_ids(&["b"]).await;
}
