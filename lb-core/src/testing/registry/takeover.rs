//! Rules on ids that somebody else has registered since: who is gone leaves the successor alone.

use std::time::Duration;

use super::bench::Bench;
use super::observer::Observer;
use crate::instance::Instance;
use crate::registry::Announcement;

fn old() -> Instance {
    Instance::new("a").with_address("old")
}

fn successor() -> Instance {
    Instance::new("a").with_address("successor")
}

async fn stays_untouched(watch: &mut Observer) {
    watch
        .stays("the successor", |s| {
            let entry = s.entries.get("a");
            entry.is_some_and(|entry| *entry.instance == successor() && !entry.is_draining())
        })
        .await;
}

/// Announcements whose id was taken over, once by registering and once by announcing. The successor's announcement is
/// kept beside it.
async fn taken_over(
    bench: &Bench,
) -> Vec<(Observer, Announcement<Instance>, Option<Announcement<Instance>>)> {
    let mut cases = Vec::new();
    for service in ["registered", "announced"] {
        let mut watch = bench.watch(service).await;
        let announcement = bench.announce(service, old()).await;
        watch.until_is(&old()).await;
        let second = if service == "announced" {
            Some(bench.announce(service, successor()).await)
        } else {
            bench.register(service, successor()).await;
            None
        };
        watch.until_is(&successor()).await;
        cases.push((watch, announcement, second));
    }
    cases
}

pub(super) async fn a_dropped_announcement_spares_its_successor(bench: Bench) {
    for (mut watch, announcement, _second) in taken_over(&bench).await {
        stays_untouched(&mut watch).await;
        drop(announcement);
        stays_untouched(&mut watch).await;
    }
}

pub(super) async fn a_leaving_announcement_spares_its_successor(bench: Bench) {
    for (mut watch, announcement, _second) in taken_over(&bench).await {
        let leaving = tokio::spawn(announcement.leave(bench.quiet));
        stays_untouched(&mut watch).await;
        match leaving.await {
            Ok(result) => bench.succeeds("leaving an id that somebody else has taken over", result),
            Err(failed) => panic!("{bench}: leaving panicked: {failed}"),
        }
        stays_untouched(&mut watch).await;
    }
}

pub(super) async fn an_old_announcement_cannot_update_its_successor(bench: Bench) {
    for (mut watch, mut announcement, _second) in taken_over(&bench).await {
        let result = announcement.update(old()).await;
        // Succeeding would say that the instance is there now.
        bench.fails("updating an id that somebody else has taken over", result);
        stays_untouched(&mut watch).await;
        drop(announcement);
        stays_untouched(&mut watch).await;
    }
}

pub(super) async fn a_second_announcement_owns_the_id(bench: Bench) {
    for (mut watch, first, second) in taken_over(&bench).await {
        drop(first);
        let Some(mut second) = second else { continue };
        let updated = successor().with_weight(7);
        bench.succeeds("updating the second announcement", second.update(updated.clone()).await);
        watch.until_is(&updated).await;
        drop(second);
        watch.until_ids(&[]).await;
    }
}

pub(super) async fn an_announcement_takes_over_a_registered_instance(bench: Bench) {
    let mut watch = bench.watch("s").await;
    bench.register("s", old()).await;
    watch.until_is(&old()).await;
    let announcement = bench.announce("s", successor()).await;
    watch.until_is(&successor()).await;
    watch.stays_ids(&["a"]).await;
    bench.succeeds("leaving", announcement.leave(Duration::ZERO).await);
    watch.until_ids(&[]).await;
}
