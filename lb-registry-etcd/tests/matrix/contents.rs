//! A store that forgets, goes back, is full, is compacted, or holds what nobody can read.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_testkit::Result;
use lb_testkit::etcd::{EtcdCluster, EtcdOptions};
use lb_testkit::schedule::SERVICE;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::world::{GRACE, TTL, World, failed, key};

/// A third of the time to live, and a second: by then the lost lease is noticed and replaced.
const NOTICED: Duration = Duration::from_millis(TTL.as_millis() as u64 / 3 + 1_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_compacted_while_one_is_away() -> Result<()> {
    let world = World::start(1).await?;
    let etcd = &world.cluster.members()[0];
    world.put(etcd, "old").await?;
    world.sees("old", Instant::now(), Duration::from_secs(2)).await?;
    let lists = world.lists();
    world.cut_off().await?;
    world.delete(etcd, "old").await?;
    for i in 0..5 {
        world.put(etcd, &format!("new-{i}")).await?;
    }
    etcd.compact().await?;
    world.let_through();
    let back = Instant::now();
    world.sees("new-4", back, Duration::from_secs(3)).await?;
    assert_eq!(world.lists(), lists + 1, "what is compacted can only be listed");
    // Nobody says whether it was deregistered, so it is kept for its grace.
    world.agrees(back, GRACE + Duration::from_secs(3)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_lost() -> Result<()> {
    let world = World::start(1).await?;
    let (etcd, lists) = (&world.cluster.members()[0], world.lists());
    etcd.wipe()?;
    etcd.restart().await?;
    let up = Instant::now();
    world.registered(up, NOTICED).await?;
    world.agrees(up, NOTICED + Duration::from_secs(2)).await?;
    assert!(world.lists() > lists, "another history is listed");
    assert!(world.announcer.status().re_registrations >= 3);
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_lost_on_three_members() -> Result<()> {
    let world = World::start(3).await?;
    world.cluster.wipe()?;
    world.cluster.heal().await?;
    let up = Instant::now();
    world.registered(up, NOTICED).await?;
    world.agrees(up, NOTICED + Duration::from_secs(2)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_is_restored() -> Result<()> {
    let world = World::start(1).await?;
    let (etcd, lists) = (&world.cluster.members()[0], world.lists());
    world.put(etcd, "in-the-backup").await?;
    let saved = etcd.save()?;
    for i in 0..20 {
        world.put(etcd, &format!("later-{i}")).await?;
    }
    world.delete(etcd, "in-the-backup").await?;
    world.sees("later-19", Instant::now(), Duration::from_secs(2)).await?;
    etcd.restore(&saved)?;
    etcd.restart().await?;
    let up = Instant::now();
    world.sees("in-the-backup", up, Duration::from_secs(4)).await?;
    world.registered(up, NOTICED).await?;
    world.agrees(up, GRACE + NOTICED + Duration::from_secs(3)).await?;
    assert!(world.lists() > lists, "another history is listed");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_is_revoked() -> Result<()> {
    let world = World::start(1).await?;
    let etcd = &world.cluster.members()[0];
    let leases = etcd.etcdctl(&["lease", "list"]).await?;
    let mut revoked = 0;
    for lease in leases.lines().skip(1) {
        etcd.etcdctl(&["lease", "revoke", lease.trim()]).await?;
        revoked += 1;
    }
    assert_eq!(revoked, 1, "all announcements of a process live on one lease: {leases}");
    let gone = Instant::now();
    world.registered(gone, Duration::from_secs(2)).await?;
    world.agrees(gone, Duration::from_secs(3)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_is_deleted() -> Result<()> {
    let world = World::start(1).await?;
    let etcd = &world.cluster.members()[0];
    for id in ["a-0", "a-1", "a-2"] {
        world.delete(etcd, id).await?;
        let gone = Instant::now();
        world.registered(gone, Duration::from_secs(2)).await?;
        world.agrees(gone, Duration::from_secs(3)).await?;
    }
    assert_eq!(world.announcer.status().re_registrations, 3);
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_full() -> Result<()> {
    let options = EtcdOptions::new().quota_backend_bytes(2 << 20);
    let world = World::start_with(1, &options, |builder| builder).await?;
    let etcd = &world.cluster.members()[0];
    let filler = "x".repeat(100_000);
    for i in 0..100 {
        if etcd.etcdctl(&["put", &format!("filler/{i}"), &filler]).await.is_err() {
            break;
        }
    }
    let refused =
        world.announcer.register(SERVICE, Instance::new("refused").with_address("refused.test:80")).await;
    let refused = refused.expect_err("the store is full").to_string();
    println!("{refused}");
    // Keys can still be deleted, and signs of life sent. What is to be put again has to wait.
    world.delete(etcd, "a-0").await?;
    let before = world.announcer.status().errors;
    sleep(TTL).await;
    let errors = world.announcer.status().errors - before;
    assert!((1..60).contains(&errors), "it is tried again, and not all the time: {errors} errors in {TTL:?}");
    assert!(world.listing(etcd).await?.contains_key("a-1"), "its lease is kept alive");

    etcd.etcdctl(&["del", "filler/", "--prefix"]).await?;
    etcd.compact().await?;
    etcd.etcdctl(&["defrag"]).await?;
    etcd.etcdctl(&["alarm", "disarm"]).await?;
    let room = Instant::now();
    world.registered(room, Duration::from_secs(2)).await?;
    world.agrees(room, Duration::from_secs(3)).await?;
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_run_out() -> Result<()> {
    let place = World::place().await?;
    let cluster = EtcdCluster::start_with(1, &EtcdOptions::new().auth_token_ttl(2)).await?;
    for command in [
        &["role", "add", "registry"][..],
        &["role", "grant-permission", "registry", "readwrite", "lb/", "lb0"],
        &["user", "add", "shop:secret"],
        &["user", "grant-role", "shop", "registry"],
        &["user", "add", "root:root"],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        cluster.etcdctl(command).await?;
    }
    let world = World::over(cluster, place, |builder| builder.user("shop", "secret")).await?;
    let etcd = &world.cluster.members()[0];
    for i in 0..3 {
        // Longer than a token lives; and then a connection that has to be made anew.
        sleep(Duration::from_secs(4)).await;
        world.proxies[0].reset_all();
        world.announcer_proxies[0].reset_all();
        let id = format!("new-{i}");
        let instance = Instance::new(&*id).with_address("new.test:80");
        let begun = Instant::now();
        world.announcer.register(SERVICE, instance).await.map_err(failed)?;
        world.sees(&id, begun, Duration::from_secs(4)).await?;
    }
    let there = etcd.etcdctl(&["--user=root:root", "get", &key("a-0"), "--print-value-only"]).await?;
    assert!(there.contains("a-0"), "it is kept: {there}");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_is_written_while_one_is_away() -> Result<()> {
    const COUNT: usize = 2_000;
    let world = World::start(1).await?;
    let lists = world.lists();
    world.cut_off().await?;
    // Five megabytes: more than a message may have, unless it comes in fragments.
    let padding = "x".repeat(2_500);
    let mut writes = JoinSet::new();
    for part in 0..20 {
        let (announcer, padding) = (world.announcer.clone(), padding.clone());
        writes.spawn(async move {
            for i in (part..COUNT).step_by(20) {
                let instance = Instance::new(format!("many-{i}"))
                    .with_address(format!("many-{i}.test:80"))
                    .with_metadata("padding", &*padding);
                announcer.register(SERVICE, instance).await?;
            }
            Ok::<_, lb_core::RegistryError>(())
        });
    }
    let begun = Instant::now();
    while let Some(written) = writes.join_next().await {
        written.map_err(failed)?.map_err(failed)?;
    }
    println!("{COUNT} written in {:.1} s", begun.elapsed().as_secs_f64());
    world.let_through();
    let back = Instant::now();
    let all = |seen: &lb_core::registry::Snapshot<Instance>| seen.entries.len() == COUNT + 3;
    world.eventually("all are seen", back, Duration::from_secs(5), all).await?;
    assert_eq!(world.lists(), lists, "a backlog is caught up with");
    world.served()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_harms_nobody_else() -> Result<()> {
    let world = World::start(1).await?;
    let etcd = &world.cluster.members()[0];
    let huge = "x".repeat(100_000);
    for (id, value) in
        [("bad-1", "no json"), ("bad-2", "{}"), ("bad-3", r#"{"Op":0,"Addr":7}"#), ("bad-4", &*huge)]
    {
        etcd.etcdctl(&["put", &key(id), value]).await?;
    }
    let put = Instant::now();
    world.put(etcd, "good").await?;
    world.sees("good", put, Duration::from_secs(2)).await?;
    assert_eq!(world.seen().skipped, 4, "{:?}", world.seen());
    assert_eq!(world.seen().entries.len(), 4);
    for id in ["bad-1", "bad-2", "bad-3", "bad-4"] {
        world.delete(etcd, id).await?;
    }
    world
        .eventually("nothing is skipped", Instant::now(), Duration::from_secs(2), |seen| seen.skipped == 0)
        .await?;
    world.agrees(Instant::now(), Duration::from_secs(1)).await?;
    world.served()
}
