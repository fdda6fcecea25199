//! Rules on writers that write at the same time.

use tokio::task::JoinSet;

use super::bench::Bench;
use super::observer::{ids, retries};
use super::samples::config;
use crate::instance::Instance;
use crate::registry::Override;

const WRITERS: u32 = 32;

fn name(n: u32) -> String {
    format!("{n:03}")
}

/// Runs one task per number and returns what they return; a panic in one is a panic here.
async fn together<T, Fut>(bench: &Bench, write: impl Fn(Bench, u32) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        writers.spawn(write(bench.clone(), n));
    }
    let mut results = Vec::new();
    while let Some(done) = writers.join_next().await {
        match done {
            Ok(result) => results.push(result),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
    results
}

pub(super) async fn concurrent_instances_are_all_kept(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let announcements = together(&bench, async |bench, n| {
        if n % 2 == 0 {
            bench.register("s", Instance::new(name(n)).with_priority(n)).await;
            None
        } else {
            Some(bench.announce("s", Instance::new(name(n)).with_priority(n)).await)
        }
    })
    .await;
    let snapshot = watch.until("every instance", |s| s.entries.len() == WRITERS as usize).await;
    for n in 0..WRITERS {
        let found = watch.entry(&snapshot, &name(n)).instance.priority;
        assert_eq!(found, n, "{bench}: {:?} is another writer's instance", name(n));
    }
    drop(announcements);
    watch.until("the registered ones only", |s| s.entries.len() == WRITERS as usize / 2).await;
}

pub(super) async fn concurrent_removals_take_out_their_own(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for n in 0..WRITERS {
        bench.register("s", Instance::new(name(n))).await;
    }
    watch.until("every instance", |s| s.entries.len() == WRITERS as usize).await;
    // Every instance of the first half is deregistered by two at once.
    let was_there = together(&bench, async |bench, n| bench.deregister("s", &name(n / 2)).await).await;
    let removed = was_there.iter().filter(|&&was_there| was_there).count();
    assert_eq!(
        removed,
        WRITERS as usize / 2,
        "{bench}: it is not exactly one of two who finds the instance there"
    );
    let left: Vec<String> = (WRITERS / 2..WRITERS).map(name).collect();
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    watch.until_ids(&left).await;
    watch.stays_ids(&left).await;
}

pub(super) async fn concurrent_writes_of_every_kind_are_all_kept(bench: Bench) {
    let mut watch = bench.watch("s").await;
    for n in 0..WRITERS {
        bench.register("s", Instance::new(name(n))).await;
    }
    together(&bench, async |bench, n| match n % 4 {
        0 => bench.set_override("s", &name(n), Override::weight(n + 100)).await,
        1 => bench.register("s", Instance::new(name(n)).with_weight(n + 100)).await,
        2 => assert!(bench.deregister("s", &name(n)).await, "{bench}: {n} was not there"),
        _ => bench.set_config("s", config(n)).await,
    })
    .await;
    watch
        .until("every write", |s| {
            let written = (0..WRITERS).all(|n| {
                let weight = s.entries.get(&name(n)).map(|entry| entry.weight());
                match n % 4 {
                    0 | 1 => weight == Some(n + 100),
                    2 => weight.is_none(),
                    _ => weight == Some(1),
                }
            });
            written && retries(s).is_some_and(|n| n % 4 == 3)
        })
        .await;
}

pub(super) async fn concurrent_writes_of_one_id_leave_one(bench: Bench) {
    let mut watch = bench.watch("s").await;
    together(&bench, async |bench, n| bench.register("s", Instance::new("a").with_weight(n + 1)).await).await;
    bench.register("s", Instance::new("b")).await;
    let snapshot = watch.until("the last write", |s| s.entries.get("b").is_some()).await;
    assert_eq!(ids(&snapshot), ["a", "b"], "{bench}: one id has not one entry");
    let settled = watch.current().entries.get("a").map(|entry| entry.revision);
    watch.stays("the winner", |s| s.entries.get("a").map(|entry| entry.revision) == settled).await;
}
