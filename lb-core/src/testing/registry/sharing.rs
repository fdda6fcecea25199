//! Rules on what two snapshots share, and on revisions. The observer checks sharing and order at every snapshot; the
//! rules here make sure that it sees each kind of write.

use std::sync::Arc;

use super::bench::Bench;
use super::observer::Observer;
use super::samples::config;
use crate::instance::Instance;
use crate::registry::{Entry, Override, Revision};

pub(super) async fn unchanged_entries_are_shared(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a", "b", "c"]).await;
    let snapshot = watch.until_ids(&["a", "b", "c"]).await;
    let kept = watch.entry(&snapshot, "a");
    let shared = |watch: &mut Observer, write: &str| {
        let snapshot = watch.current();
        let now: Arc<Entry<Instance>> = watch.entry(&snapshot, "a");
        assert!(
            Arc::ptr_eq(&kept, &now),
            "{bench}: {write} another instance has changed this one's `Arc<Entry>`"
        );
    };

    bench.register("s", Instance::new("d")).await;
    watch.until_ids(&["a", "b", "c", "d"]).await;
    shared(&mut watch, "registering");
    bench.register("s", Instance::new("b").with_weight(9)).await;
    watch.until_is(&Instance::new("b").with_weight(9)).await;
    shared(&mut watch, "replacing");
    bench.set_override("s", "b", Override::drain()).await;
    watch.until_entry("an override", "b", |entry| entry.over.draining).await;
    shared(&mut watch, "overriding");
    bench.deregister("s", "c").await;
    watch.until_ids(&["a", "b", "d"]).await;
    shared(&mut watch, "deregistering");
    let mut announcement = bench.announce("s", Instance::new("e")).await;
    watch.until_ids(&["a", "b", "d", "e"]).await;
    shared(&mut watch, "announcing");
    bench.succeeds("updating", announcement.update(Instance::new("e").with_weight(2)).await);
    watch.until_is(&Instance::new("e").with_weight(2)).await;
    shared(&mut watch, "updating");
    drop(announcement);
    watch.until_ids(&["a", "b", "d"]).await;
    shared(&mut watch, "the end of");
    bench.set_config("s", config(1)).await;
    watch.until_retries(1).await;
    shared(&mut watch, "configuring the service, not");
    bench.remove_config("s").await;
    watch.until("no configuration", |s| s.config.is_none()).await;
    shared(&mut watch, "removing the configuration, not");
}

pub(super) async fn revisions_grow_with_every_write(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut last = Revision::NONE;
    let mut grown = |write: &str, now: Revision| {
        assert!(now > last, "{bench}: {write} has not moved the revision, which is {now} after {last}");
        last = now;
    };
    bench.register_ids("s", &["a"]).await;
    grown("registering", watch.until_ids(&["a"]).await.revision);
    bench.register("s", Instance::new("a").with_weight(2)).await;
    watch.until_is(&Instance::new("a").with_weight(2)).await;
    grown("replacing", watch.current().revision);
    bench.set_override("s", "a", Override::drain()).await;
    watch.until_entry("an override", "a", |entry| entry.over.draining).await;
    grown("overriding", watch.current().revision);
    bench.set_config("s", config(1)).await;
    grown("configuring", watch.until_retries(1).await.revision);
    bench.remove_config("s").await;
    grown(
        "removing the configuration",
        watch.until("no configuration", |s| s.config.is_none()).await.revision,
    );
    let announcement = bench.announce("s", Instance::new("b")).await;
    grown("announcing", watch.until_ids(&["a", "b"]).await.revision);
    drop(announcement);
    grown("the end of an announcement", watch.until_ids(&["a"]).await.revision);
    bench.deregister("s", "a").await;
    grown("deregistering", watch.until_ids(&[]).await.revision);
    bench.register_ids("s", &["a"]).await;
    grown("registering again", watch.until_ids(&["a"]).await.revision);
}

pub(super) async fn an_instance_has_the_revision_of_its_write(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    let first = watch.until_ids(&["a"]).await;
    let a = watch.entry(&first, "a").revision;
    assert!(a > Revision::NONE, "{bench}: a registered instance has no revision");
    bench.register_ids("s", &["b"]).await;
    let second = watch.until_ids(&["a", "b"]).await;
    let b = watch.entry(&second, "b").revision;
    assert!(b > a, "{bench}: the instance registered later has revision {b}, the earlier one {a}");

    bench.deregister("s", "b").await;
    watch.until_ids(&["a"]).await;
    bench.register_ids("s", &["b"]).await;
    let third = watch.until_ids(&["a", "b"]).await;
    let again = watch.entry(&third, "b").revision;
    assert!(
        again > b,
        "{bench}: an instance that came back has revision {again}, and had {b} before it went"
    );
}
