//! Many threads at once.

mod ready;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lb_core::registry::{RegistryError, Revision};
use lb_core::testing::RegistryContract;
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use ready::now;

const THREADS: usize = 4;
const ROUNDS: u32 = 300;

#[test]
fn no_increment_of_a_configuration_is_lost() {
    let registry: MemoryRegistry<Instance> = MemoryRegistry::new();
    let increment = || {
        loop {
            let found = now(registry.config("s")).unwrap();
            let (revision, retries) =
                found.map_or((Revision::NONE, 0), |entry| (entry.revision, entry.config.max_retries()));
            let config = ServiceConfig::builder().max_retries(retries + 1).build().unwrap();
            match now(registry.compare_and_set_config("s", revision, config)) {
                Ok(()) => return,
                Err(RegistryError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| increment()));
        }
    });
    let retries = now(registry.config("s")).unwrap().unwrap().config.max_retries();
    assert_eq!(retries, THREADS as u32 * ROUNDS);
}

#[test]
fn what_is_asked_for_while_it_comes_and_goes_leaves_nothing_behind() {
    let registry = MemoryRegistry::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let registry = &registry;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let id = format!("{thread}");
                    let watch = now(registry.watch("s")).unwrap();
                    now(registry.register("s", Instance::new(&id))).unwrap();
                    assert!(watch.current().entries.get(&id).is_some(), "the watch is one of another life");
                    let announcement = now(registry.announce("s", Instance::new(&id))).unwrap();
                    if round % 2 == 0 {
                        drop(watch);
                        drop(announcement);
                    } else {
                        assert!(now(registry.deregister("s", &id)).unwrap());
                        drop(announcement);
                        assert!(watch.current().entries.get(&id).is_none());
                    }
                }
            });
        }
    });
    assert_eq!(format!("{registry:?}"), "MemoryRegistry { services: 0, .. }");
}

#[test]
fn a_watch_sees_revisions_in_order_and_ends_with_the_last() {
    let registry = MemoryRegistry::new();
    let watch = now(registry.watch("s")).unwrap();
    let highest = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let registry = &registry;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let instance = Instance::new(format!("{thread}")).with_weight(round);
                    now(registry.register("s", instance)).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..ROUNDS * 10 {
                let now = watch.current().revision.get();
                assert!(highest.swap(now, Ordering::Relaxed) <= now, "the revision has gone back");
            }
        });
    });
    let last = watch.current();
    assert_eq!(last.revision.get(), THREADS as u64 * u64::from(ROUNDS));
    assert!(last.entries.iter().all(|entry| entry.weight() == ROUNDS - 1));
}

/// The rules on concurrent writers, where they can race. Without quiet periods, so that nothing sleeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_rules_on_concurrency() {
    for part in ["concurrency::", "compare_and_set::of_two_writers", "compare_and_set::no_increment"] {
        let contract = RegistryContract::new().quiet(std::time::Duration::ZERO).only(part);
        contract.check(async || MemoryRegistry::new()).await;
    }
}
