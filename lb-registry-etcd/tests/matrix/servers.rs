//! Servers that die, hang, lose their quorum, or all of them at once.

use std::time::Duration;

use lb_core::registry::{Freshness, InstanceState};
use lb_testkit::{Result, eventually_async};
use tokio::time::{Instant, sleep};

use crate::world::{TTL, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_server_is_killed_and_comes_back() -> Result<()> {
    let world = World::start(1).await?;
    let (etcd, lists) = (&world.cluster.members()[0], world.lists());
    etcd.kill9();
    let stale = |seen: &lb_core::registry::Snapshot<_>| matches!(seen.freshness, Freshness::Stale { .. });
    world.eventually("the snapshot is stale", Instant::now(), Duration::from_secs(3), stale).await?;
    etcd.restart().await?;
    let up = Instant::now();
    world.put(etcd, "new").await?;
    world.sees("new", up, Duration::from_secs(2)).await?;
    // A lease outlives its server's restart: nothing was lost, so nothing is put again.
    sleep(TTL + Duration::from_secs(1)).await;
    world.agrees(Instant::now(), Duration::from_secs(1)).await?;
    assert_eq!(world.announcer.status().re_registrations, 0);
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_that_is_watched_is_killed() -> Result<()> {
    let world = World::start(3).await?;
    let (watched, lists) = (world.watched()?.0, world.lists());
    watched.kill9();
    let killed = Instant::now();
    let through = world.other(watched);
    // Where the leader is killed, there is none for a second or two, and who writes has to try again.
    let written = eventually_async("a write", Duration::from_secs(20), || async {
        world.put(through, "new").await.ok()
    });
    let ((), took) = written.await?;
    world.sees("new", killed + took, Duration::from_secs(3)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    assert_eq!(world.announcer.status().re_registrations, 0);
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed() -> Result<()> {
    let world = World::start(3).await?;
    let (leader, lists) = (world.cluster.leader().await?, world.lists());
    leader.kill9();
    let through = world.other(leader);
    eventually_async("a write", Duration::from_secs(20), || async { world.put(through, "new").await.ok() })
        .await?;
    world.sees("new", Instant::now(), Duration::from_secs(3)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    leader.restart().await?;
    world.agrees(Instant::now(), Duration::from_secs(2)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_that_is_watched_hangs() -> Result<()> {
    let world = World::start(3).await?;
    let (watched, lists) = (world.watched()?.0, world.lists());
    watched.stop();
    let hung = Instant::now();
    let through = world.other(watched);
    let written = eventually_async("a write", Duration::from_secs(20), || async {
        world.put(through, "new").await.ok()
    });
    let ((), took) = written.await?;
    // A write that took long did so because the leader hangs, and says nothing of the observer.
    world
        .sees("new", hung.max(hung + took.saturating_sub(Duration::from_secs(1))), Duration::from_secs(4))
        .await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    watched.cont();
    world.agrees(Instant::now(), Duration::from_secs(2)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_hang_for_longer_than_leases_live() -> Result<()> {
    let world = World::start(3).await?;
    world.cluster.stop_all();
    sleep(TTL + Duration::from_secs(3)).await;
    let seen = world.seen();
    assert_eq!(seen.entries.len(), 3, "nobody is taken out");
    assert!(matches!(seen.freshness, Freshness::Stale { .. }), "{:?}", seen.freshness);
    world.cluster.cont_all();
    // The members elect a leader first.
    world.cluster.wait_ready(Duration::from_secs(30)).await?;
    let up = Instant::now();
    world.registered(up, Duration::from_secs(1)).await?;
    world.agrees(up, Duration::from_secs(3)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_is_lost() -> Result<()> {
    let world = World::start(3).await?;
    let killed = world.cluster.lose_quorum().await?;
    let lost = Instant::now();
    assert_eq!(killed.len(), 2);
    let stale = |seen: &lb_core::registry::Snapshot<_>| matches!(seen.freshness, Freshness::Stale { .. });
    world.eventually("the snapshot is stale", lost, Duration::from_secs(6), stale).await?;
    sleep(TTL).await;
    assert!(
        world.seen().entries.iter().all(|entry| entry.state == InstanceState::Ready),
        "{:?}",
        world.seen()
    );
    world.cluster.heal().await?;
    world.put(&world.cluster.members()[0], "new").await?;
    // Members that have just come back may elect another leader before they write.
    let up = Instant::now();
    world.sees("new", up, Duration::from_secs(2)).await?;
    world.registered(up, Duration::from_secs(2)).await?;
    world.served()
}
