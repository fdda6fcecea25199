//! Rules on what operators lay over instances.

use std::sync::Arc;

use super::bench::Bench;
use super::observer::Observer;
use crate::instance::Instance;
use crate::registry::{Entry, Override, RegistryError};

async fn until_over(watch: &mut Observer, id: &str, over: Override) -> Arc<Entry<Instance>> {
    watch.until_entry(&format!("{over:?} over {id:?}"), id, |entry| entry.over == over).await
}

pub(super) async fn an_override_is_laid_over_one_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for id in ["a", "b"] {
        bench.register("s", Instance::new(id).with_weight(5)).await;
    }
    bench.register("t", Instance::new("a").with_weight(5)).await;
    bench.set_override("s", "a", Override::weight(2)).await;
    let a = until_over(&mut watch, "a", Override::weight(2)).await;
    assert_eq!(a.weight(), 2, "{bench}: the override's weight is not in force");
    watch
        .stays("an override of another instance", |s| s.entries.get("b").is_some_and(|b| b.weight() == 5))
        .await;
    let mut other = bench.watch("t").await;
    other.until_is(&Instance::new("a").with_weight(5)).await;
    other
        .stays("the same id of another service", |s| s.entries.iter().all(|e| e.over == Override::NONE))
        .await;

    bench.set_override("s", "a", Override::drain()).await;
    let a = until_over(&mut watch, "a", Override::drain()).await;
    assert!(a.is_draining() && a.weight() == 0, "{bench}: a drained instance has weight {}", a.weight());
}

pub(super) async fn an_override_takes_the_place_of_the_former(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    let mut both = Override::drain();
    both.weight = Some(0);
    for over in
        [Override::weight(7), Override::drain(), both, Override::weight(0), Override::weight(u32::MAX)]
    {
        bench.set_override("s", "a", over).await;
        until_over(&mut watch, "a", over).await;
    }
}

pub(super) async fn no_override_restores_the_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register("s", Instance::new("a").with_weight(5)).await;
    bench.set_override("s", "a", Override::NONE).await;
    bench.set_override("s", "a", Override::drain()).await;
    until_over(&mut watch, "a", Override::drain()).await;
    bench.set_override("s", "a", Override::NONE).await;
    let a = until_over(&mut watch, "a", Override::NONE).await;
    assert_eq!(a.weight(), 5, "{bench}: the instance does not have its own weight again");
}

pub(super) async fn an_override_changes_neither_instance_nor_revision(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    let snapshot = watch.until_ids(&["a"]).await;
    let before = watch.entry(&snapshot, "a");
    for over in [Override::weight(2), Override::drain(), Override::NONE] {
        bench.set_override("s", "a", over).await;
        let after = until_over(&mut watch, "a", over).await;
        assert!(
            Arc::ptr_eq(&before.instance, &after.instance),
            "{bench}: {over:?} has put another `Arc` in the place of the instance"
        );
        assert_eq!(
            before.revision, after.revision,
            "{bench}: {over:?} has changed the revision of the instance, as if it had been registered anew"
        );
        assert_eq!(before.state, after.state, "{bench}: {over:?} has changed the state of the instance");
    }
}

pub(super) async fn an_override_survives_replacement(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    bench.set_override("s", "a", Override::weight(7)).await;
    until_over(&mut watch, "a", Override::weight(7)).await;

    let kept = |how: &str, entry: &Entry<Instance>| {
        assert_eq!(entry.over, Override::weight(7), "{bench}: it was lost when the instance was {how}");
    };
    bench.register("s", Instance::new("a").with_weight(2)).await;
    kept("registered again", &*watch.until_is(&Instance::new("a").with_weight(2)).await);
    let announcement = bench.announce("s", Instance::new("a").with_weight(3)).await;
    kept("announced", &*watch.until_is(&Instance::new("a").with_weight(3)).await);
    bench.register("s", Instance::new("a").with_weight(4)).await;
    kept("taken over", &*watch.until_is(&Instance::new("a").with_weight(4)).await);
    drop(announcement);
    watch.stays("the override", |s| s.entries.get("a").is_some_and(|e| e.over == Override::weight(7))).await;
}

pub(super) async fn an_override_goes_with_its_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    bench.set_override("s", "a", Override::drain()).await;
    until_over(&mut watch, "a", Override::drain()).await;
    bench.deregister("s", "a").await;
    watch.until_ids(&[]).await;
    bench.register_ids("s", &["a"]).await;
    watch.until_ids(&["a"]).await;
    watch.stays("a new instance's override", |s| s.entries.iter().all(|e| e.over == Override::NONE)).await;
}

pub(super) async fn an_override_needs_an_instance(bench: Bench) {
    bench.register_ids("s", &["b"]).await;
    for (service, what) in [("s", "an unknown instance"), ("t", "an instance of an unknown service")] {
        let result = bench.registry.set_override(service, "a", Override::drain()).await;
        let error = bench.fails(format!("overriding {what}"), result);
        assert!(
            matches!(&error, RegistryError::UnknownInstance { service: s, id } if s == service && id == "a"),
            "{bench}: overriding {what} is refused with {error:?}, not `UnknownInstance`"
        );
        let mut watch = bench.watch(service).await;
        bench.register_ids(service, &["a"]).await;
        watch.until("the new instance", |s| s.entries.get("a").is_some()).await;
        watch
            .stays("a new instance's override", |s| s.entries.iter().all(|e| e.over == Override::NONE))
            .await;
    }
}
