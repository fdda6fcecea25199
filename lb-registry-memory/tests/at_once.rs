//! What the registry in memory promises beyond the contract: when a write has resolved, it is there.

mod ready;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lb_core::registry::{Entry, EntryChange, Override, Revision, Snapshot};
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use ready::now;

#[test]
fn a_resolved_write_is_what_the_next_read_sees() {
    let registry = MemoryRegistry::new();
    let watch = now(registry.watch("s")).unwrap();
    let seen = || watch.current();

    now(registry.register("s", Instance::new("a"))).unwrap();
    assert_eq!(seen().entries.len(), 1);
    now(registry.set_override("s", "a", Override::drain())).unwrap();
    assert!(seen().entries.get("a").unwrap().is_draining());
    now(registry.set_config("s", ServiceConfig::default())).unwrap();
    assert!(seen().config.is_some());
    let announcement = now(registry.announce("s", Instance::new("b"))).unwrap();
    assert_eq!(seen().entries.len(), 2);
    drop(announcement);
    assert_eq!(seen().entries.len(), 1);
    assert!(now(registry.deregister("s", "a")).unwrap());
    assert!(now(registry.remove_config("s")).unwrap());
    assert!(!seen().is_known());
}

#[test]
fn balancers_take_a_write_over_before_it_resolves() {
    let registry = MemoryRegistry::new();
    let mut watch = now(registry.watch("s")).unwrap();
    let source = now(registry.watch("s")).unwrap();
    let applied = Arc::new(AtomicUsize::new(0));
    let listener = Arc::clone(&applied);
    let handle = registry.clone();
    watch.on_apply(move || {
        // A listener may use the registry: no lock is held.
        assert_eq!(now(handle.instances("s")).unwrap().len(), source.current().entries.len());
        listener.fetch_add(1, Ordering::Relaxed);
    });

    now(registry.register("s", Instance::new("a"))).unwrap();
    assert_eq!(applied.load(Ordering::Relaxed), 1);
    registry.replace_all("s", (0..100).map(|n| Instance::new(n.to_string()))).unwrap();
    assert_eq!(applied.load(Ordering::Relaxed), 2, "a whole list is one rebuild");
    now(registry.register("another", Instance::new("a"))).unwrap();
    assert!(!now(registry.deregister("s", "not there")).unwrap());
    now(registry.set_override("s", "0", Override::NONE)).unwrap();
    registry.reconcile("s", (0..100).map(|n| Instance::new(n.to_string()))).unwrap();
    assert_eq!(applied.load(Ordering::Relaxed), 2, "what changes nothing is no write");

    drop(watch);
    now(registry.deregister("s", "0")).unwrap();
    assert_eq!(applied.load(Ordering::Relaxed), 2, "the listener goes with its watch");
}

#[test]
fn writes_are_numbered_from_one() {
    let registry = MemoryRegistry::new();
    let revision = |service| now(registry.watch(service)).unwrap().current().revision;
    now(registry.register("s", Instance::new("a"))).unwrap();
    assert_eq!(revision("s"), Revision::new(1));
    now(registry.register("t", Instance::new("a"))).unwrap();
    assert_eq!((revision("s"), revision("t")), (Revision::new(1), Revision::new(2)));
    assert!(now(registry.register("t", Instance::new(""))).is_err());
    now(registry.deregister("t", "a")).unwrap();
    now(registry.set_config("t", ServiceConfig::default())).unwrap();
    assert_eq!(
        revision("t"),
        Revision::new(4),
        "neither a refused write nor a removed service moves it otherwise"
    );
}

#[test]
fn a_hundred_thousand_instances_share_what_did_not_change() {
    const INSTANCES: usize = 100_000;
    let registry = MemoryRegistry::new();
    let watch = now(registry.watch("s")).unwrap();
    registry.replace_all("s", (0..INSTANCES).map(|n| Instance::new(format!("{n:06}")))).unwrap();
    let before = watch.current();
    assert_eq!(before.entries.len(), INSTANCES);

    let changes = |before: &Snapshot<Instance>, after: &Snapshot<Instance>| -> Vec<String> {
        let id = |entry: &Arc<Entry<Instance>>| entry.id().to_owned();
        let change = |change| match change {
            EntryChange::Added(entry) => format!("+{}", id(entry)),
            EntryChange::Changed { new, .. } => format!("={}", id(new)),
            EntryChange::Removed(entry) => format!("-{}", id(entry)),
            _ => unreachable!("there are no other changes"),
        };
        before.entries.diff(&after.entries).map(change).collect()
    };
    now(registry.register("s", Instance::new("050000"))).unwrap();
    now(registry.set_override("s", "000007", Override::drain())).unwrap();
    now(registry.deregister("s", "099999")).unwrap();
    now(registry.register("s", Instance::new("new"))).unwrap();
    assert_eq!(changes(&before, &watch.current()), ["=000007", "=050000", "-099999", "+new"]);
}
