//! Writing a whole list of instances.

mod ready;

use std::sync::Arc;

use lb_core::registry::{Entry, Override, RegistryError};
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use ready::now;

fn entries(registry: &MemoryRegistry<Instance>) -> Vec<Arc<Entry<Instance>>> {
    now(registry.instances("s")).unwrap()
}

fn ids(registry: &MemoryRegistry<Instance>) -> Vec<String> {
    entries(registry).iter().map(|entry| entry.id().to_owned()).collect()
}

fn with_ids(ids: &[&str]) -> Vec<Instance> {
    ids.iter().map(|id| Instance::new(*id)).collect()
}

#[test]
fn replaces_all_and_keeps_overrides_of_who_stays() {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", with_ids(&["a", "b", "c"])).unwrap();
    for id in ["a", "b"] {
        now(registry.set_override("s", id, Override::drain())).unwrap();
    }
    now(registry.set_config("s", ServiceConfig::default())).unwrap();
    registry.replace_all("s", with_ids(&["d", "b"])).unwrap();
    assert_eq!(ids(&registry), ["b", "d"]);
    assert_eq!(entries(&registry)[0].over, Override::drain());
    assert!(now(registry.config("s")).unwrap().is_some());

    registry.replace_all("s", with_ids(&["a"])).unwrap();
    assert_eq!(entries(&registry)[0].over, Override::NONE, "it went with its instance");
    registry.replace_all("s", []).unwrap();
    assert!(ids(&registry).is_empty());
}

#[test]
fn a_list_that_cannot_be_used_changes_nothing() {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", with_ids(&["a"])).unwrap();
    let before = entries(&registry);

    let error = registry.replace_all("s", with_ids(&["b", "c", "b"])).unwrap_err();
    assert!(matches!(&error, RegistryError::InvalidInstance { id, .. } if id == "b"), "{error:?}");
    assert!(error.to_string().contains("given twice"), "{error}");
    let error = registry.reconcile("s", with_ids(&["b", ""])).unwrap_err();
    assert!(matches!(&error, RegistryError::InvalidInstance { id, .. } if id.is_empty()), "{error:?}");
    let error = registry.replace_all("", with_ids(&["b"])).unwrap_err();
    assert!(matches!(error, RegistryError::InvalidService { .. }), "{error:?}");

    assert!(Arc::ptr_eq(&before[0], &entries(&registry)[0]));
    assert_eq!(now(registry.services()).unwrap(), ["s"]);
}

#[test]
fn reconciling_writes_only_what_differs() {
    let registry = MemoryRegistry::new();
    registry.reconcile("s", with_ids(&["a", "b", "c"])).unwrap();
    now(registry.set_override("s", "a", Override::weight(7))).unwrap();
    let watch = now(registry.watch("s")).unwrap();
    let before = watch.current();

    registry.reconcile("s", with_ids(&["c", "b", "a"])).unwrap();
    assert!(Arc::ptr_eq(&before, &watch.current()), "nothing differs, so nothing is published");

    let changed = vec![Instance::new("a"), Instance::new("b").with_weight(2)];
    registry.reconcile("s", changed.clone()).unwrap();
    let after = watch.current();
    assert_eq!(ids(&registry), ["a", "b"]);
    assert!(Arc::ptr_eq(before.entries.get("a").unwrap(), after.entries.get("a").unwrap()));
    assert!(after.entries.get("b").unwrap().revision > before.entries.get("b").unwrap().revision);
    registry.reconcile("s", changed).unwrap();
    assert!(Arc::ptr_eq(&after, &watch.current()));
}

#[tokio::test(start_paused = true)]
async fn an_announcement_does_not_own_what_a_list_wrote() {
    let registry = MemoryRegistry::new();
    let first = registry.announce("s", Instance::new("a")).await.unwrap();
    registry.replace_all("s", with_ids(&["a"])).unwrap();
    drop(first);
    assert_eq!(ids(&registry), ["a"]);

    // Left as it was, it stays the announcement's.
    let second = registry.announce("s", Instance::new("a")).await.unwrap();
    registry.reconcile("s", with_ids(&["a", "b"])).unwrap();
    drop(second);
    assert_eq!(ids(&registry), ["b"]);

    // An instance on its way out is not what the list asks for.
    let third = registry.announce("s", Instance::new("a")).await.unwrap();
    let leaving = tokio::spawn(third.leave(std::time::Duration::from_secs(60)));
    tokio::task::yield_now().await;
    assert!(entries(&registry)[0].is_draining());
    registry.reconcile("s", with_ids(&["a", "b"])).unwrap();
    assert!(!entries(&registry)[0].is_draining());
    leaving.await.unwrap().unwrap();
    assert_eq!(ids(&registry), ["a", "b"]);
}
