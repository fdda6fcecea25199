//! Networks that swallow, tear or refuse.

use std::time::Duration;

use lb_core::registry::{Freshness, Snapshot};
use lb_testkit::{ProxyMode, Result};
use tokio::time::{Instant, sleep};

use crate::world::{TTL, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_swallows_everything() -> Result<()> {
    let world = World::start(3).await?;
    let ((watched, proxy), lists) = (world.watched()?, world.lists());
    proxy.set(ProxyMode::BlackHole);
    let hole = Instant::now();
    world.put(watched, "new").await?;
    world.sees("new", hole, Duration::from_secs(4)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_arrive() -> Result<()> {
    let world = World::start(3).await?;
    let ((watched, proxy), lists) = (world.watched()?, world.lists());
    proxy.set(ProxyMode::BlackHoleToClient);
    let hole = Instant::now();
    world.put(watched, "new").await?;
    world.sees("new", hole, Duration::from_secs(4)).await?;
    assert_eq!(world.lists(), lists);
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_do_not_arrive() -> Result<()> {
    let world = World::start(3).await?;
    let ((_, proxy), lists) = (world.watched()?, world.lists());
    proxy.set(ProxyMode::BlackHoleToServer);
    // Events still come, and so nothing is missed; but signs of life do not, and so another member is watched.
    sleep(Duration::from_secs(6)).await;
    proxy.reset_all();
    let hole = Instant::now();
    world.put(&world.cluster.members()[0], "new").await?;
    world.sees("new", hole, Duration::from_secs(1)).await?;
    assert_eq!(world.lists(), lists);
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_server_cannot_be_reached_for_a_while() -> Result<()> {
    let world = World::start(1).await?;
    let (etcd, lists) = (&world.cluster.members()[0], world.lists());
    world.proxies[0].set(ProxyMode::BlackHole);
    let hole = Instant::now();
    let stale = |seen: &Snapshot<_>| matches!(seen.freshness, Freshness::Stale { .. });
    world.eventually("the snapshot is stale", hole, Duration::from_secs(6), stale).await?;
    world.put(etcd, "new").await?;
    sleep(Duration::from_secs(3)).await;
    world.let_through();
    world.sees("new", Instant::now(), Duration::from_secs(4)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    world.agrees(Instant::now(), Duration::from_secs(1)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_torn() -> Result<()> {
    let world = World::start(1).await?;
    let (etcd, lists) = (&world.cluster.members()[0], world.lists());
    for i in 0..5 {
        world.proxies[0].reset_all();
        let torn = Instant::now();
        let id = format!("new-{i}");
        world.put(etcd, &id).await?;
        world.sees(&id, torn, Duration::from_secs(2)).await?;
    }
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    assert!(world.observer.status().reconnects >= 5, "{:?}", world.observer.status());
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_announcer_is_cut_off_for_longer_than_its_lease_lives() -> Result<()> {
    let world = World::start(1).await?;
    world.announcer_proxies[0].set(ProxyMode::BlackHole);
    sleep(TTL + Duration::from_secs(3)).await;
    // Three of three have vanished, which is a crowd: they are kept as suspects, and calls are served by them.
    assert!(world.listing(&world.cluster.members()[0]).await?.is_empty(), "the lease has run out");
    assert_eq!(world.seen().entries.len(), 3);
    world.announcer_proxies[0].set(ProxyMode::Pass);
    let back = Instant::now();
    world.registered(back, Duration::from_secs(2)).await?;
    world.agrees(back, Duration::from_secs(3)).await?;
    assert_eq!(world.announcer.status().re_registrations, 3);
    world.served()
}
