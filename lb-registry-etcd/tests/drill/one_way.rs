//! Networks that work one way, and a cluster that forgets.

use std::time::Duration;

use lb_testkit::{ProxyMode, Result};
use tokio::time::{Instant, sleep};

use crate::world::{TTL, World};

/// A third of the time to live, and a second: by then the lost lease is noticed and replaced.
const NOTICED: Duration = Duration::from_millis(TTL.as_millis() as u64 / 3 + 1_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_do_not_arrive() -> Result<()> {
    let world = World::start(3).await?;
    let ((watched, proxy), lists) = (world.watched()?, world.lists());
    proxy.set(ProxyMode::BlackHoleToClient);
    let hole = Instant::now();
    world.put(watched, "new").await?;
    world.sees("new", hole, Duration::from_secs(4)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
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
    let torn = Instant::now();
    world.put(&world.cluster.members()[0], "new").await?;
    world.sees("new", torn, Duration::from_secs(1)).await?;
    assert_eq!(world.lists(), lists, "a watch is resumed and not begun anew");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_lose_everything() -> Result<()> {
    let world = World::start(3).await?;
    world.cluster.wipe()?;
    world.cluster.heal().await?;
    let up = Instant::now();
    world.registered(up, NOTICED).await?;
    world.agrees(up, NOTICED + Duration::from_secs(2)).await?;
    // A member that lags may not know the new lease yet; then there is one more, and all are written again.
    assert!(world.announcer.status().re_registrations >= 3, "{:?}", world.announcer.status());
    world.served()
}
