//! Values that cannot be read, and bursts.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_testkit::redis::RedisServer;

use crate::fleet::{CHANNEL, Fleet, INSTANCES, VERSION, took};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_cannot_be_read_is_left_out_and_counted() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let huge = format!("7 00c0ffee00c0ffee.1 {}", "[".repeat(1 << 20));
    let stolen = redis.cli(&["HGET", INSTANCES, "x"]).await.unwrap();
    for (id, value) in [("bad-1", "garbage"), ("bad-2", "1 a.b {\"lb\":1}"), ("bad-3", stolen.trim_end())] {
        redis.cli(&["HSET", INSTANCES, id, value]).await.unwrap();
    }
    // Longer than an argument of a program may be, so not by `redis-cli`.
    let script = format!(
        "return redis.call('HSET', KEYS[1], 'bad-4', '7 00c0ffee00c0ffee.1 ' .. string.rep('[', {}))",
        huge.len()
    );
    redis.cli(&["EVAL", &script, "1", INSTANCES]).await.unwrap();
    redis.cli(&["INCR", VERSION]).await.unwrap();
    for garbage in ["", "hello", "1 2 put 9 9 x", "99999999999999999 1 put 0 0 "] {
        redis.cli(&["PUBLISH", CHANNEL, garbage]).await.unwrap();
    }
    let bound = 6 * SECOND;
    let counted = lb_testkit::eventually("four values left out", bound, || {
        (fleet.watch.current().skipped == 4).then_some(())
    });
    took("bad values", "counted", counted.await.unwrap().1, bound);
    assert_eq!(fleet.view(), ["x", "y", "z"]);
    assert_eq!(fleet.b.status().skipped, 4);
    for id in ["bad-1", "bad-2", "bad-3", "bad-4"] {
        assert!(fleet.a.deregister("s", id).await.unwrap());
    }
    fleet.sees(&["x", "y", "z"], 2 * SECOND).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_kind_stops_nothing_else() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.cli(&["SET", "lb:{faults/t}:i", "not a hash"]).await.unwrap();
    assert!(fleet.a.register("t", Instance::new("a")).await.is_err());
    assert!(fleet.b.watch("t").await.is_err(), "it cannot be read, and nothing is known of it");
    fleet.converges("r", 2 * SECOND).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_followed_to_its_end() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let registry = &fleet.a;
    let burst = futures_util::future::join_all((0..2000).map(|n| async move {
        registry.register("s", Instance::new(format!("b{:03}", n % 200)).with_weight(n)).await
    }));
    for written in burst.await {
        written.unwrap();
    }
    let bound = 6 * SECOND;
    let seen =
        lb_testkit::eventually("the last of each", bound, || (fleet.view().len() == 203).then_some(()));
    took("2,000 writes at once", "seen", seen.await.unwrap().1, bound);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_flushed_are_sent_again() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    for n in 0..5 {
        redis.cli(&["SCRIPT", "FLUSH"]).await.unwrap();
        fleet.converges(&format!("r{n}"), SECOND).await;
    }
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_what_does_not_exist_leaves_nothing_behind() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    let keys = redis.cli(&["DBSIZE"]).await.unwrap();
    let registry = &fleet.b;
    let asked = futures_util::future::join_all(
        (0..300).map(|n| async move { registry.watch(&format!("unknown-{n}")).await.is_ok() }),
    );
    assert!(asked.await.into_iter().all(|ok| ok));
    assert_eq!(redis.cli(&["DBSIZE"]).await.unwrap(), keys);
    let channels = lb_testkit::eventually_async("one channel", 5 * SECOND, async || {
        let channels = redis.cli(&["PUBSUB", "CHANNELS"]).await.ok()?;
        (channels.lines().filter(|line| !line.is_empty()).count() == 1).then_some(())
    });
    channels.await.unwrap();
    let status = fleet.b.status();
    assert_eq!((status.services, status.watched), (1, 1), "{status:?}");
    fleet.end(&redis).await;
}
