//! Rules on the list of services.

use super::bench::Bench;
use super::samples::config;
use crate::instance::Instance;
use crate::registry::{Override, Revision};

pub(super) async fn an_empty_registry_lists_nothing(bench: Bench) {
    let listed = bench.services().await;
    assert!(
        listed.is_empty(),
        "{bench}: {listed:?} are listed (`make` must give an empty registry each time)"
    );
}

pub(super) async fn services_are_listed_in_order(bench: Bench) {
    for name in ["m", "z", "B", "a", "é", "b", "aa", "10", "9"] {
        bench.register_ids(name, &["1", "2"]).await;
    }
    bench.set_config("c", config(1)).await;
    bench.set_config("m", config(1)).await;
    bench.lists(&["10", "9", "B", "a", "aa", "b", "c", "m", "z", "é"]).await;
}

pub(super) async fn a_service_is_listed_while_it_has_something(bench: Bench) {
    bench.register_ids("s", &["a", "b"]).await;
    bench.set_config("s", config(1)).await;
    bench.lists(&["s"]).await;
    bench.deregister("s", "a").await;
    bench.deregister("s", "b").await;
    bench.keeps_listing(&["s"]).await;
    bench.remove_config("s").await;
    bench.lists(&[]).await;

    bench.set_config("s", config(1)).await;
    let announcement = bench.announce("s", Instance::new("a")).await;
    bench.remove_config("s").await;
    bench.keeps_listing(&["s"]).await;
    drop(announcement);
    bench.lists(&[]).await;
}

pub(super) async fn asking_for_a_service_does_not_list_it(bench: Bench) {
    bench.register_ids("known", &["a"]).await;
    let (unknown, known) = (bench.watch("unknown").await, bench.watch("known").await);
    assert!(bench.instances("asked").await.is_empty(), "{bench}: an unknown service has instances");
    assert!(bench.config("asked").await.is_none(), "{bench}: an unknown service has a configuration");
    bench.keeps_listing(&["known"]).await;
    drop((unknown, known));
    bench.keeps_listing(&["known"]).await;
}

pub(super) async fn failed_writes_list_nothing(bench: Bench) {
    assert!(!bench.deregister("a", "x").await, "{bench}: an unknown instance was there");
    assert!(!bench.remove_config("b").await, "{bench}: an unknown service had a configuration");
    let result = bench.registry.set_override("c", "x", Override::drain()).await;
    bench.fails("overriding an instance of an unknown service", result);
    let result = bench.registry.compare_and_set_config("d", Revision::new(1), config(1)).await;
    bench.fails("configuring an unknown service, expecting a revision", result);
    bench.keeps_listing(&[]).await;
}
