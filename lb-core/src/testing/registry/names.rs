//! Rules on names: any that is allowed stays itself, any other is refused.

use super::bench::Bench;
use super::observer::ids;
use super::samples::{ODD, bad, config, longest};
use crate::instance::Instance;
use crate::registry::{Override, RegistryError, Revision};

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

pub(super) async fn services_with_odd_names_are_kept_apart(bench: Bench) {
    for (n, &name) in (0..).zip(ODD) {
        bench.register(name, Instance::new(format!("of {name}"))).await;
        bench.set_config(name, config(n)).await;
    }
    for (n, &name) in (0..).zip(ODD) {
        let mut watch = bench.watch(name).await;
        let snapshot = watch.until_retries(n).await;
        assert_eq!(ids(&snapshot), [format!("of {name}")], "{bench}: service {name:?} has others' instances");
    }
    bench.lists(&sorted(ODD)).await;
    for &name in ODD {
        assert!(
            bench.deregister(name, &format!("of {name}")).await,
            "{bench}: {name:?} has lost its instance"
        );
        assert!(bench.remove_config(name).await, "{bench}: {name:?} has lost its configuration");
    }
    bench.lists(&[]).await;
}

pub(super) async fn instances_with_odd_ids_are_kept_apart(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for (n, &id) in (1..).zip(ODD) {
        bench.register("s", Instance::new(id).with_priority(n)).await;
        bench.set_override("s", id, Override::weight(n)).await;
    }
    let snapshot = watch
        .until("every odd id", |s| {
            s.entries.len() == ODD.len() && s.entries.iter().all(|entry| entry.over.weight.is_some())
        })
        .await;
    assert_eq!(ids(&snapshot), sorted(ODD), "{bench}: ids are not what was registered, in order");
    for (n, &id) in (1..).zip(ODD) {
        let entry = watch.entry(&snapshot, id);
        let found = (entry.instance.priority, entry.over.weight);
        assert_eq!(found, (n, Some(n)), "{bench}: {id:?} has the instance or the override of another id");
    }
    for &id in ODD {
        assert!(bench.deregister("s", id).await, "{bench}: {id:?} went with another id");
    }
    watch.until_ids(&[]).await;
}

pub(super) async fn a_separator_in_a_name_is_part_of_the_name(bench: Bench) {
    // Joined by the separator, all pairs of a row are the same key.
    let rows = ["/", ":", ".", "%2F", "-", "_", "|", "#", " "];
    for separator in rows {
        let joined = |a: &str, b: &str| format!("{a}{separator}{b}");
        let (left, right) = ((joined("a", "b"), "c".to_owned()), ("a".to_owned(), joined("b", "c")));
        let (mut first, mut second) = (bench.watch(&left.0).await, bench.watch(&right.0).await);
        bench.register(&left.0, Instance::new(&left.1).with_priority(1)).await;
        bench.register(&right.0, Instance::new(&right.1).with_priority(2)).await;
        first.until_is(&Instance::new(&left.1).with_priority(1)).await;
        second.until_is(&Instance::new(&right.1).with_priority(2)).await;

        bench.set_override(&left.0, &left.1, Override::drain()).await;
        first.until_entry("the override", &left.1, |entry| entry.over.draining).await;
        second.stays("the override", |s| s.entries.get(&right.1).is_some_and(|e| !e.over.draining)).await;
        bench.deregister(&left.0, &left.1).await;
        first.until_ids(&[]).await;
        second.stays("the instance", |s| s.entries.get(&right.1).is_some()).await;
        bench.deregister(&right.0, &right.1).await;
    }
}

pub(super) async fn the_longest_name_is_taken(bench: Bench) {
    for name in longest() {
        let mut watch = bench.watch(&name).await;
        bench.register(&name, Instance::new(&name)).await;
        bench.set_config(&name, config(1)).await;
        bench.set_override(&name, &name, Override::weight(7)).await;
        watch.until_entry("an override of the longest id", &name, |entry| entry.weight() == 7).await;
        watch.until_retries(1).await;
    }
}

pub(super) async fn bad_names_of_services_are_refused(bench: Bench) {
    let refused = |name: &str, problem: &str, call: &str, error: &RegistryError| {
        assert!(
            matches!(error, RegistryError::InvalidService { service, .. } if service == name),
            "{bench}: {call} a service with a bad name ({problem}) is refused with {error:?}, not `InvalidService`"
        );
    };
    for (name, problem) in bad() {
        let named = |call: &str| format!("{call} a service with a bad name ({problem})");
        let result = bench.registry.register(&name, Instance::new("a")).await;
        refused(&name, problem, "registering in", &bench.fails(named("registering in"), result));
        let result = bench.registry.announce(&name, Instance::new("a")).await;
        refused(&name, problem, "announcing in", &bench.fails(named("announcing in"), result));
        let result = bench.registry.set_config(&name, config(1)).await;
        refused(&name, problem, "configuring", &bench.fails(named("configuring"), result));
        let result = bench.registry.compare_and_set_config(&name, Revision::NONE, config(1)).await;
        refused(&name, problem, "configuring", &bench.fails(named("comparing and configuring"), result));

        // These store nothing, so they may refuse the name, or not know it.
        bench.fails(named("overriding in"), bench.registry.set_override(&name, "a", Override::drain()).await);
        assert!(
            !bench.registry.deregister(&name, "a").await.unwrap_or(false),
            "{bench}: something was stored"
        );
        assert!(!bench.registry.remove_config(&name).await.unwrap_or(false), "{bench}: something was stored");
        if let Ok(watch) = bench.registry.watch(&name).await {
            assert!(!watch.current().is_known(), "{bench}: something was stored under a bad name");
        }
    }
    bench.keeps_listing(&[]).await;
}

pub(super) async fn bad_ids_of_instances_are_refused(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for (bad_id, problem) in bad() {
        let refused = |call: &str, error: &RegistryError| {
            assert!(
                matches!(error, RegistryError::InvalidInstance { service, id, .. } if service == "s" && *id == bad_id),
                "{bench}: {call} an instance with a bad id ({problem}) is refused with {error:?}, not \
                 `InvalidInstance`"
            );
        };
        let result = bench.registry.register("s", Instance::new(&bad_id)).await;
        refused(
            "registering",
            &bench.fails(format!("registering an instance with a bad id ({problem})"), result),
        );
        let result = bench.registry.announce("s", Instance::new(&bad_id)).await;
        refused(
            "announcing",
            &bench.fails(format!("announcing an instance with a bad id ({problem})"), result),
        );

        bench.fails(
            format!("overriding an instance with a bad id ({problem})"),
            bench.registry.set_override("s", &bad_id, Override::drain()).await,
        );
        let removed = bench.registry.deregister("s", &bad_id).await;
        assert!(!removed.unwrap_or(false), "{bench}: an instance with a bad id was stored");
    }
    watch.stays_ids(&[]).await;
    bench.keeps_listing(&[]).await;
}
