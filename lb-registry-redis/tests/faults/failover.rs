//! Masters that die, hang, or are deposed.

use std::time::Duration;

use lb_core::registry::Freshness;
use lb_core::{Instance, ServiceRegistry};
use lb_registry_redis::RedisRegistry;
use lb_testkit::redis::{MASTER_NAME, RedisCluster, RedisOptions, RedisSentinel, RedisServer};

use crate::fleet::{BACK, Fleet, TTL, builder, server_has, took};

const SECOND: Duration = Duration::from_secs(1);

fn url(redis: &RedisSentinel) -> String {
    let hosts: Vec<_> =
        redis.sentinel_urls().iter().map(|url| url.trim_start_matches("redis://").to_owned()).collect();
    format!("redis+sentinel://{}/{MASTER_NAME}", hosts.join(","))
}

fn cluster_url(redis: &RedisCluster) -> String {
    let hosts: Vec<_> = redis.nodes().iter().map(|node| node.address().to_string()).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

/// The node that has the service.
async fn home(redis: &RedisCluster) -> &RedisServer {
    for node in redis.nodes() {
        if node.cli(&["EXISTS", crate::fleet::INSTANCES]).await.is_ok_and(|there| there == "1") {
            return node;
        }
    }
    panic!("no node has the service");
}

/// The number of the master whose slots the service's is among.
async fn home_slots(redis: &RedisCluster) -> usize {
    let slot = redis.nodes()[0].cli(&["CLUSTER", "KEYSLOT", crate::fleet::INSTANCES]).await.unwrap();
    slot.trim().parse::<usize>().unwrap() * redis.nodes().len() / 16_384
}

/// Waits until `reader` knows the three that are announced; how long that took.
async fn is_read_by(reader: &RedisRegistry<Instance>, bound: Duration) -> Duration {
    let read = lb_testkit::eventually_async("the service", bound, async || {
        let seen = reader.watch("s").await.ok()?.current();
        (seen.entries.len() == 3 && seen.freshness == Freshness::Live).then_some(())
    });
    read.await.unwrap_or_else(|error| panic!("{error}: {:?}", reader.status())).1
}

/// How many sessions those who announce and those who watch have had to begin again.
fn reconnects(fleet: &Fleet) -> [u64; 2] {
    [&fleet.a, &fleet.b].map(|registry| registry.status().reconnects)
}

/// Waits until who announces and who watches have both left the server they were at; how long that took.
async fn is_left(fleet: &Fleet, before: [u64; 2]) -> Duration {
    let left = lb_testkit::eventually("the old master is left", 4 * SECOND, || {
        std::iter::zip(reconnects(fleet), before).all(|(now, then)| now > then).then_some(())
    });
    left.await.unwrap().1
}

/// Registers `r` until the promoted master has it; how long that took.
async fn writes_reach(fleet: &Fleet, new: &RedisServer) -> Duration {
    let reached =
        lb_testkit::eventually_async("a write that reaches the promoted master", 4 * SECOND, async || {
            fleet.a.register("s", Instance::new("r")).await.ok()?;
            crate::fleet::listing(new).await.contains("r").then_some(())
        });
    reached.await.unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_is_left_for_the_promoted_one() {
    let redis = RedisSentinel::start(1).await.unwrap();
    let fleet = Fleet::start(&url(&redis)).await;
    let old = redis.master().await.unwrap();
    old.kill9();
    let (new, promoted) = redis.promoted(old, 20 * SECOND).await.unwrap();
    println!("kill -9 master: promoted after {promoted:.0?}");
    took(
        "kill -9 master",
        "converged after the promotion",
        fleet.converges("r", 4 * SECOND).await,
        4 * SECOND,
    );
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_master_is_left_though_it_takes_writes() {
    let redis = RedisSentinel::start(1).await.unwrap();
    let fleet = Fleet::start(&url(&redis)).await;
    let old = redis.master().await.unwrap();
    old.stop();
    let (new, _) = redis.promoted(old, 20 * SECOND).await.unwrap();
    old.cont();
    // It believes for a while that it is the master, and says Ok to whoever writes to it: what is written there before
    // it is left is lost, as far as nobody stands behind it.
    let direct = crate::fleet::builder(&old.url()).connect().await.unwrap();
    let stray = direct.register("s", Instance::new("stray")).await;
    println!("a write to the deposed master: {stray:?}");
    took("deposed master", "it is left by who writes", writes_reach(&fleet, new).await, 4 * SECOND);
    took("deposed master", "converged", fleet.converges("r", 4 * SECOND).await, 4 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_is_followed_and_what_is_announced_survives() {
    let redis = RedisSentinel::start(1).await.unwrap();
    let fleet = Fleet::start(&url(&redis)).await;
    let old = redis.master().await.unwrap();
    redis.failover().await.unwrap();
    // Both say that they are the master; the sentinels know better. What the old one takes until it is left is lost, as
    // far as nobody stands behind it.
    let before = reconnects(&fleet);
    let (new, _) = redis.promoted(old, 20 * SECOND).await.unwrap();
    took("planned failover", "the old master is left", is_left(&fleet, before).await, 4 * SECOND);
    took("planned failover", "converged", fleet.converges("r", 4 * SECOND).await, 4 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_node_that_hangs_and_comes_back_is_used_again() {
    let redis = RedisCluster::start().await.unwrap();
    let fleet = Fleet::start(&cluster_url(&redis)).await;
    for node in redis.nodes() {
        node.stop();
        tokio::time::sleep(2 * SECOND).await;
        node.cont();
        redis.wait_ready(20 * SECOND).await.unwrap();
    }
    took("cluster node stopped", "converged", fleet.converges("r", 5 * SECOND).await, 5 * SECOND);
    fleet.sees(&["r", "x", "y", "z"], 6 * SECOND).await;
    fleet.end(home(&redis).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_node_that_was_dead_at_the_start_is_found_by_who_only_reads() {
    let redis = RedisCluster::start_with(RedisOptions::new().persistent()).await.unwrap();
    let fleet = Fleet::start(&cluster_url(&redis)).await;
    let home = home(&redis).await;
    home.kill9();
    // It is connected to the two others, and whoever asks them for the service is sent to the third.
    let reader = builder(&cluster_url(&redis)).connect().await.unwrap();
    home.spawn().unwrap();
    redis.wait_ready(20 * SECOND).await.unwrap();
    let seen = is_read_by(&reader, 4 * SECOND).await;
    took("cluster node dead at the start", "read", seen, 4 * SECOND);
    fleet.sees(&["x", "y", "z"], 6 * SECOND).await;
    fleet.end(home).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_node_that_hangs_keeps_nobody_from_the_others() {
    let options = RedisOptions::new().config("cluster-require-full-coverage no");
    let redis = RedisCluster::start_with(options).await.unwrap();
    let fleet = Fleet::start(&cluster_url(&redis)).await;
    let home = home(&redis).await;
    let other = redis.nodes().iter().find(|node| node.port() != home.port()).unwrap();
    other.stop();
    let start = tokio::time::Instant::now();
    // It is named by who connects, and has slots.
    let late = builder(&cluster_url(&redis)).wait(20 * SECOND).connect().await.unwrap();
    took("cluster node stopped", "connected to the others", start.elapsed(), 20 * SECOND);
    is_read_by(&late, 20 * SECOND).await;
    took("cluster node stopped", "converged", fleet.converges("r", 20 * SECOND).await, 20 * SECOND);
    other.cont();
    redis.wait_ready(20 * SECOND).await.unwrap();
    fleet.sees(&["r", "x", "y", "z"], 6 * SECOND).await;
    fleet.end(home).await;
}

/// A Cluster in which the master that has the service has a replica, and that master.
async fn replicated() -> (RedisCluster, Fleet, usize) {
    let mut redis = RedisCluster::start().await.unwrap();
    let url = cluster_url(&redis);
    let home = home_slots(&redis).await;
    redis.add_replica(home).await.unwrap();
    // Nobody is told of the replica but by the Cluster.
    let fleet = Fleet::start(&url).await;
    (redis, fleet, home)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_master_in_a_cluster_is_left_for_the_promoted_one() {
    let (redis, fleet, home) = replicated().await;
    redis.nodes()[home].kill9();
    let (new, promoted) = redis.promoted(60 * SECOND).await.unwrap();
    println!("kill -9 master in a Cluster: promoted after {promoted:.0?}");
    took("kill -9 master in a Cluster", "converged", fleet.converges("r", 20 * SECOND).await, 20 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_hangs_in_a_cluster_is_left_for_the_promoted_one() {
    let (redis, fleet, home) = replicated().await;
    redis.nodes()[home].stop();
    let (new, promoted) = redis.promoted(60 * SECOND).await.unwrap();
    println!("master in a Cluster stopped: promoted after {promoted:.0?}");
    took("master in a Cluster stopped", "converged", fleet.converges("r", 20 * SECOND).await, 20 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_in_a_cluster_is_followed() {
    let (redis, fleet, _) = replicated().await;
    // The old one is still there, and sends to the new one whoever asks it.
    let new = redis.failover().await.unwrap();
    took("planned failover in a Cluster", "converged", fleet.converges("r", 20 * SECOND).await, 20 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    fleet.end(new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_its_cluster_has_gone_on_without_is_left_though_it_answers() {
    let redis = RedisCluster::start().await.unwrap();
    let nodes = redis.nodes();
    let home = home_slots(&redis).await;
    let old = &nodes[home];
    let others: Vec<_> = nodes.iter().filter(|node| node.port() != old.port()).collect();
    // What the old one says of the Cluster is as good to it as what the others say, so it is not among those asked.
    let hosts: Vec<_> = others.iter().map(|node| node.address().to_string()).collect();
    let fleet = Fleet::start(&format!("redis+cluster://{}", hosts.join(","))).await;
    // As if nothing went between it and the others, and these had given its slots away.
    let id = old.cli(&["CLUSTER", "MYID"]).await.unwrap();
    for other in &others {
        other.cli(&["CLUSTER", "FORGET", &id]).await.unwrap();
        old.cli(&["CLUSTER", "FORGET", &other.cli(&["CLUSTER", "MYID"]).await.unwrap()]).await.unwrap();
    }
    let bound = |n: usize| n * 16_384 / nodes.len();
    let (from, to) = (bound(home).to_string(), (bound(home + 1) - 1).to_string());
    others[0].cli(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await.unwrap();
    took(
        "master cut off from its Cluster",
        "converged",
        fleet.converges("r", 50 * SECOND).await,
        50 * SECOND,
    );
    server_has(others[0], &["r", "x", "y", "z"], 10 * SECOND).await;
    fleet.end(others[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_masters_it_is_the_promoted_one() {
    // The servers let only us do everything, so that the sentinels can be cut off and nobody else.
    let options = RedisOptions::new().user("app", "on >secret-a ~* &* +@all");
    let redis = RedisSentinel::start_with(1, options).await.unwrap();
    let with = || builder(&url(&redis)).credentials("app", "secret-a");
    let fleet = Fleet::with(with(), with()).await;
    let old = redis.master().await.unwrap();
    old.cli(&["ACL", "SETUSER", "default", "-ping"]).await.unwrap();
    let before = reconnects(&fleet);
    let (new, promoted) = redis.promoted(old, 20 * SECOND).await.unwrap();
    println!("master cut off from the sentinels: another promoted after {promoted:.0?}");
    // What is written to the old one until it is left is lost, as far as nobody stands behind it. One may leave it
    // before the other: a view that has `r` may yet be the old one's.
    took("two masters", "the old one is left by both", is_left(&fleet, before).await, 4 * SECOND);
    took("two masters", "the old one is left by who writes", writes_reach(&fleet, new).await, 4 * SECOND);
    took("two masters", "converged", fleet.converges("r", 4 * SECOND).await, 4 * SECOND);
    server_has(new, &["r", "x", "y", "z"], BACK).await;
    assert_eq!(
        old.info("replication", "role").await.unwrap(),
        "master",
        "it does not know that it is deposed"
    );
    // What somebody writes there who does not ask the sentinels is seen by nobody, and lost.
    let direct = builder(&old.url()).credentials("app", "secret-a").connect().await.unwrap();
    direct.register("s", Instance::new("stray")).await.unwrap();
    assert!(crate::fleet::listing(old).await.contains("stray"));
    tokio::time::sleep(TTL).await;
    assert_eq!(fleet.view(), ["r", "x", "y", "z"]);
    drop(direct);

    old.cli(&["ACL", "SETUSER", "default", "+ping"]).await.unwrap();
    let demoted = lb_testkit::eventually_async("the old master follows", 30 * SECOND, async || {
        let role = old.info("replication", "role").await.ok()?;
        (role != "master").then_some(())
    });
    took("two masters", "the old one follows", demoted.await.unwrap().1, 30 * SECOND);
    assert_eq!(fleet.view(), ["r", "x", "y", "z"]);
    fleet.end(new).await;
}
