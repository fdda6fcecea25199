//! Rules on setting a configuration only if nobody else has.

use tokio::task::JoinSet;

use super::bench::Bench;
use super::observer::Observer;
use super::samples::config;
use crate::registry::{RegistryError, Revision};

/// Waits for the configuration with that number of retries and returns its revision.
async fn revision(watch: &mut Observer, retries: u32) -> Revision {
    let snapshot = watch.until_retries(retries).await;
    snapshot.config.as_ref().map_or(Revision::NONE, |entry| entry.revision)
}

/// Checks that a write expecting `expected` is refused because the configuration is at `actual`.
async fn conflicts(bench: &Bench, wrote: u32, expected: Revision, actual: Revision) {
    let result = bench.registry.compare_and_set_config("s", expected, config(wrote)).await;
    let call = format!("a write expecting revision {expected}, where {actual} is in force,");
    let error = bench.fails(&call, result);
    assert!(
        matches!(&error, RegistryError::Conflict { service, expected: e, actual: a }
            if service == "s" && (*e, *a) == (expected, actual)),
        "{bench}: {call} is refused with {error:?}, not with a `Conflict` that says so"
    );
}

pub(super) async fn the_first_write_expects_none(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register_ids("s", &["a"]).await;
    watch.until_ids(&["a"]).await;
    bench.compare_and_set("s", Revision::NONE, config(1)).await;
    let first = revision(&mut watch, 1).await;
    assert!(first > Revision::NONE, "{bench}: the configuration has no revision");
    conflicts(&bench, 2, Revision::NONE, first).await;
    watch.stays("the configuration", |s| super::observer::retries(s) == Some(1)).await;
}

pub(super) async fn a_write_expects_the_revision_in_force(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut last = Revision::NONE;
    for n in 1..=5 {
        bench.compare_and_set("s", last, config(n)).await;
        let now = revision(&mut watch, n).await;
        assert!(now > last, "{bench}: the write has not moved the revision, which is {now} after {last}");
        last = now;
    }
}

pub(super) async fn a_conflict_changes_nothing(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.set_config("s", config(1)).await;
    let old = revision(&mut watch, 1).await;
    bench.set_config("s", config(2)).await;
    let actual = revision(&mut watch, 2).await;
    conflicts(&bench, 3, old, actual).await;
    conflicts(&bench, 3, Revision::new(u64::MAX), actual).await;
    watch
        .stays("the configuration", |s| {
            s.config.as_ref().is_some_and(|e| e.config.max_retries() == 2 && e.revision == actual)
        })
        .await;
    bench.compare_and_set("s", actual, config(4)).await;
    revision(&mut watch, 4).await;
}

pub(super) async fn an_absent_config_conflicts_with_a_revision(bench: Bench) {
    let mut watch = bench.watch("s").await;
    conflicts(&bench, 1, Revision::new(1), Revision::NONE).await;
    bench.register_ids("s", &["a"]).await;
    let snapshot = watch.until_ids(&["a"]).await;
    // The revision of the service, or of an instance, is not the configuration's.
    conflicts(&bench, 1, snapshot.revision, Revision::NONE).await;
    watch.stays("an unset configuration", |s| s.config.is_none()).await;
}

pub(super) async fn a_plain_write_moves_the_revision(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.compare_and_set("s", Revision::NONE, config(1)).await;
    let first = revision(&mut watch, 1).await;
    bench.set_config("s", config(2)).await;
    let second = revision(&mut watch, 2).await;
    conflicts(&bench, 3, first, second).await;
}

pub(super) async fn a_revision_is_never_used_again(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.set_config("s", config(1)).await;
    let first = revision(&mut watch, 1).await;
    bench.remove_config("s").await;
    watch.until("no configuration", |s| s.config.is_none()).await;
    conflicts(&bench, 2, first, Revision::NONE).await;
    bench.compare_and_set("s", Revision::NONE, config(3)).await;
    let second = revision(&mut watch, 3).await;
    assert!(
        second > first,
        "{bench}: the second configuration has revision {second}, the removed one had {first}"
    );
    conflicts(&bench, 4, first, second).await;
}

pub(super) async fn of_two_writers_one_wins(bench: Bench) {
    let mut watch = bench.watch("s").await;
    let mut expected = Revision::NONE;
    for round in 1..=10 {
        let (left, right) = (round * 2, round * 2 + 1);
        let write = |n| {
            let registry = bench.registry.clone();
            tokio::spawn(async move { (n, registry.compare_and_set_config("s", expected, config(n)).await) })
        };
        let mut won = Vec::new();
        for write in [write(left), write(right)] {
            match write.await {
                Ok((n, Ok(()))) => won.push(n),
                Ok((_, Err(RegistryError::Conflict { .. }))) => {}
                Ok((n, Err(error))) => panic!("{bench}: writer {n} did not lose by a `Conflict`: {error:?}"),
                Err(failed) => panic!("{bench}: a writer died: {failed}"),
            }
        }
        assert_eq!(
            won.len(),
            1,
            "{bench}: of two writers that expect revision {expected}, {} won",
            won.len()
        );
        expected = revision(&mut watch, won[0]).await;
    }
}

pub(super) async fn no_increment_is_lost(bench: Bench) {
    const WRITERS: u32 = 6;
    const INCREMENTS: u32 = 5;
    bench.set_config("s", config(0)).await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let bench = bench.clone();
        writers.spawn(async move {
            let mut watch = bench.watch("s").await;
            let mut last = Revision::NONE;
            for _ in 0..INCREMENTS {
                loop {
                    let what = format!("a configuration later than revision {last}");
                    let snapshot = watch
                        .until(&what, |s| s.config.as_ref().is_some_and(|entry| entry.revision > last))
                        .await;
                    let Some(entry) = &snapshot.config else { continue };
                    last = entry.revision;
                    let next = config(entry.config.max_retries() + 1);
                    match bench.registry.compare_and_set_config("s", last, next).await {
                        Ok(()) => break,
                        Err(RegistryError::Conflict { .. }) => {}
                        Err(error) => panic!("{bench}: a writer did not lose by a `Conflict`: {error:?}"),
                    }
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        if let Err(failed) = done {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
    bench.watch("s").await.until_retries(WRITERS * INCREMENTS).await;
}
