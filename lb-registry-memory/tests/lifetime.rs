//! What is kept, for how long, and what happens when instances' own code runs.

mod ready;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use lb_core::registry::{Override, PublisherGone, RegistryError, Revision};
use lb_core::{Instance, ServiceConfig, ServiceInstance, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use ready::now;

/// How many services are in memory, watched ones included.
fn in_memory<I>(registry: &MemoryRegistry<I>) -> String {
    format!("{registry:?}")
}

const NOTHING: &str = "MemoryRegistry { services: 0, .. }";
const ONE: &str = "MemoryRegistry { services: 1, .. }";

#[test]
fn asking_leaves_nothing_behind() {
    let registry: MemoryRegistry<Instance> = MemoryRegistry::default();
    for n in 0..1_000 {
        let name = format!("typed by a user {n}");
        drop(now(registry.watch(&name)).unwrap());
        assert!(now(registry.instances(&name)).unwrap().is_empty());
        assert!(now(registry.config(&name)).unwrap().is_none());
        assert!(!now(registry.deregister(&name, "a")).unwrap());
        assert!(!now(registry.remove_config(&name)).unwrap());
        assert!(now(registry.set_override(&name, "a", Override::drain())).is_err());
        let config = ServiceConfig::default();
        assert!(now(registry.compare_and_set_config(&name, Revision::new(1), config)).is_err());
        registry.replace_all(&name, []).unwrap();
    }
    assert_eq!(in_memory(&registry), NOTHING);
}

#[test]
fn a_service_is_kept_while_it_is_known_or_watched() {
    let registry = MemoryRegistry::new();
    let watch = now(registry.watch("s")).unwrap();
    let other = now(registry.watch("s")).unwrap();
    now(registry.register("s", Instance::new("a"))).unwrap();
    drop(watch);
    assert_eq!(in_memory(&registry), ONE);
    now(registry.deregister("s", "a")).unwrap();
    assert_eq!(in_memory(&registry), ONE);
    drop(other);
    assert_eq!(in_memory(&registry), NOTHING);

    let announcement = now(registry.announce("s", Instance::new("a"))).unwrap();
    assert_eq!(in_memory(&registry), ONE);
    drop(announcement);
    assert_eq!(in_memory(&registry), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_watch_does_not_keep_the_registry_alive() {
    let registry = MemoryRegistry::new();
    let mut watch = registry.watch("s").await.unwrap();
    let other = registry.clone();
    let announcement = registry.announce("s", Instance::new("a")).await.unwrap();
    registry.register("s", Instance::new("b")).await.unwrap();
    drop(registry);
    drop(other);
    // The announcement does: its end is still seen.
    drop(announcement);
    assert_eq!(watch.changed().await.unwrap().entries.len(), 1);
    assert_eq!(watch.changed().await.unwrap_err(), PublisherGone);
    assert_eq!(watch.current().entries.len(), 1);
}

/// An instance that uses its registry when it is dropped, and whose id cannot always be read.
struct Awkward {
    registry: Option<MemoryRegistry<Awkward>>,
    reads_left: AtomicUsize,
}

impl Awkward {
    fn new(registry: Option<&MemoryRegistry<Awkward>>, reads: usize) -> Self {
        Self { registry: registry.cloned(), reads_left: AtomicUsize::new(reads) }
    }
}

impl ServiceInstance for Awkward {
    fn id(&self) -> &'static str {
        assert!(self.reads_left.fetch_sub(1, Ordering::Relaxed) > 0, "the id cannot be read");
        "awkward"
    }
}

impl Drop for Awkward {
    fn drop(&mut self) {
        if let Some(registry) = &self.registry {
            now(registry.services()).unwrap();
        }
    }
}

#[test]
fn an_instance_may_use_the_registry_when_it_is_dropped() {
    let registry = MemoryRegistry::new();
    let awkward = || Awkward::new(Some(&registry), usize::MAX);
    let watch = now(registry.watch("watched")).unwrap();
    for service in ["watched", "not watched"] {
        now(registry.register(service, awkward())).unwrap();
        now(registry.register(service, awkward())).unwrap();
        registry.replace_all(service, [awkward()]).unwrap();
        assert!(registry.replace_all(service, [awkward(), awkward()]).is_err());
        let mut announcement = now(registry.announce(service, awkward())).unwrap();
        now(announcement.update(awkward())).unwrap();
        now(registry.register(service, awkward())).unwrap();
        assert!(now(announcement.update(awkward())).is_err());
        now(registry.deregister(service, "awkward")).unwrap();
        assert!(matches!(now(announcement.update(awkward())), Err(RegistryError::UnknownInstance { .. })));
    }
    drop(watch);
    assert_eq!(in_memory(&registry), NOTHING);
}

#[test]
fn a_panic_in_an_instance_does_not_break_the_registry() {
    let registry = MemoryRegistry::new();
    let watch = now(registry.watch("s")).unwrap();
    let mut panics = 0;
    for reads in 0..10 {
        let instance = Awkward::new(None, reads);
        let registered = catch_unwind(AssertUnwindSafe(|| now(registry.register("s", instance))));
        panics += usize::from(registered.is_err());
    }
    assert!(panics >= 2, "some of them while the registry was locked");
    let before = watch.current().revision;
    now(registry.register("s", Awkward::new(None, usize::MAX))).unwrap();
    assert!(watch.current().revision > before);
    assert_eq!(now(registry.services()).unwrap(), ["s"]);
}

#[test]
fn debug_shows_no_instance() {
    let registry = MemoryRegistry::new();
    now(registry.register("s", Instance::new("a").with_metadata("key", "sk-secret"))).unwrap();
    assert_eq!(in_memory(&registry), ONE);
}
