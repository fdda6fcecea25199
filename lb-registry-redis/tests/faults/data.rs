//! Data that is lost, goes back, or cannot be written.

use std::time::Duration;

use lb_core::registry::InstanceState;
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_testkit::redis::{RedisOptions, RedisServer};

use crate::fleet::{BACK, EXPIRIES, Fleet, INSTANCES, TTL, VERSION, builder, server_has, took};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [&str; 3] = ["x", "y", "z"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_is_back_after_flushall() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.cli(&["FLUSHALL"]).await.unwrap();
    took("FLUSHALL", "announced again", server_has(&redis, &ALL, BACK).await, BACK);
    fleet.sees(&ALL, 6 * SECOND).await;
    assert_eq!(fleet.a.status().re_registrations, 3);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_is_back_after_a_restart_without_data() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.kill9();
    fleet.is_stale_within(6 * SECOND).await;
    redis.restart().await.unwrap();
    took(
        "kill -9, data lost",
        "announced again",
        server_has(&redis, &ALL, BACK + SECOND).await,
        BACK + SECOND,
    );
    fleet.is_live_within(6 * SECOND).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_its_data_changes_nothing() {
    let redis = RedisServer::start_with(RedisOptions::new().persistent()).await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    fleet.a.register("s", Instance::new("r")).await.unwrap();
    fleet.a.set_config("s", ServiceConfig::builder().max_retries(3).build().unwrap()).await.unwrap();
    fleet.sees(&["r", "x", "y", "z"], 2 * SECOND).await;
    redis.kill9();
    // Longer than the time-to-live: all of them have expired on disk.
    tokio::time::sleep(TTL + SECOND).await;
    redis.restart().await.unwrap();
    took("kill -9, data kept", "converged", fleet.converges("t", 3 * SECOND).await, 3 * SECOND);
    assert_eq!(fleet.view(), ["r", "t", "x", "y", "z"]);
    assert_eq!(fleet.suspects(), 0);
    assert_eq!(fleet.watch.current().config.as_ref().map(|c| c.config.max_retries()), Some(3));
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_only_registered_is_suspect_after_a_loss_and_then_gone() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    for id in ["p", "q"] {
        fleet.a.register("s", Instance::new(id)).await.unwrap();
    }
    fleet.sees(&["p", "q", "x", "y", "z"], 2 * SECOND).await;
    redis.cli(&["FLUSHALL"]).await.unwrap();
    let kept = lb_testkit::eventually("suspects", 6 * SECOND, || {
        let current = fleet.watch.current();
        let suspect = |id| current.entries.get(id).is_some_and(|e| e.state == InstanceState::Suspect);
        (suspect("p") && suspect("q")).then_some(())
    });
    kept.await.unwrap();
    // Three times the time-to-live.
    fleet.sees(&ALL, 4 * TTL).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_written_again_with_the_next_beat() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.cli(&["ZREM", EXPIRIES, "x"]).await.unwrap();
    redis.cli(&["HDEL", INSTANCES, "y"]).await.unwrap();
    took("HDEL", "announced again", server_has(&redis, &ALL, BACK).await, BACK);
    let score = lb_testkit::eventually_async("an expiry", BACK, async || {
        redis.cli(&["ZSCORE", EXPIRIES, "x"]).await.ok().filter(|score| !score.trim().is_empty())
    });
    score.await.unwrap();
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_went_back_is_taken_over() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    fleet.a.register("s", Instance::new("r")).await.unwrap();
    fleet.sees(&["r", "x", "y", "z"], 2 * SECOND).await;
    let before = fleet.watch.current().revision;
    // As a replica that had not heard of the last write: behind, in the same epoch.
    redis.cli(&["HDEL", INSTANCES, "r"]).await.unwrap();
    redis.cli(&["SET", VERSION, "1000"]).await.unwrap();
    let bound = 6 * SECOND;
    let rewound =
        lb_testkit::eventually("a rewound history", bound, || (fleet.b.status().rewinds > 0).then_some(()));
    took("history went back", "noticed", rewound.await.unwrap().1, bound);
    assert!(fleet.watch.current().revision >= before, "revisions never go back");
    took("history went back", "converged", fleet.converges("t", 3 * SECOND).await, 3 * SECOND);
    fleet.sees(&["t", "x", "y", "z"], 4 * TTL).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_is_no_outage() {
    let redis = RedisServer::start().await.unwrap();
    let fleet = Fleet::start(&redis.url()).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let error = fleet.a.register("s", Instance::new("r")).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("maxmemory"), "{source}");
    let before: u64 = redis.info("stats", "total_commands_processed").await.unwrap().parse().unwrap();
    tokio::time::sleep(TTL + SECOND).await;
    let after: u64 = redis.info("stats", "total_commands_processed").await.unwrap().parse().unwrap();
    assert!(after - before < 200, "{} commands in four seconds: it spins", after - before);
    assert_eq!((fleet.view().len(), fleet.suspects()), (3, 0));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    took("maxmemory", "converged", fleet.converges("r", 3 * SECOND).await, 3 * SECOND);
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_process_is_taken_out_by_the_others() {
    let redis = RedisServer::start().await.unwrap();
    let url = redis.url();
    let fleet = Fleet::start(&url).await;
    // A process of its own, as far as Redis can tell, that freezes.
    let (frozen, thaw) = frozen_announcer(&url, "dead", 4 * TTL);
    frozen.await.unwrap();
    fleet.sees(&["dead", "x", "y", "z"], 3 * SECOND).await;
    let bound = TTL * 2 + 2 * SECOND;
    took("process frozen", "taken out", server_has(&redis, &ALL, bound).await, bound);
    // Frozen for longer than its time-to-live; when it wakes it is there again, unless somebody has its id.
    let successor = builder(&url).connect().await.unwrap();
    let taken = successor.announce("s", Instance::new("dead").with_weight(7)).await.unwrap();
    thaw.await.unwrap();
    tokio::time::sleep(TTL).await;
    let current = fleet.watch.current();
    assert_eq!(current.entries.get("dead").map(|e| e.weight()), Some(7), "the id has one owner");
    drop(taken);
    fleet.sees(&ALL, 2 * SECOND).await;
    fleet.end(&redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_wakes_up_is_there_again() {
    let redis = RedisServer::start().await.unwrap();
    let url = redis.url();
    let fleet = Fleet::start(&url).await;
    let (frozen, thaw) = frozen_announcer(&url, "sleeper", 3 * TTL);
    frozen.await.unwrap();
    server_has(&redis, &["sleeper", "x", "y", "z"], SECOND).await;
    server_has(&redis, &ALL, 3 * TTL).await;
    thaw.await.unwrap();
    took("process frozen", "there again", server_has(&redis, &["sleeper", "x", "y", "z"], BACK).await, BACK);
    fleet.end(&redis).await;
}

/// Announces from a thread with a runtime of its own, which then blocks for `pause`. Told when it is announced, and when
/// it goes on.
fn frozen_announcer(
    url: &str,
    id: &'static str,
    pause: Duration,
) -> (tokio::sync::oneshot::Receiver<()>, tokio::sync::oneshot::Receiver<()>) {
    let (announced, frozen) = tokio::sync::oneshot::channel();
    let (thawed, thaw) = tokio::sync::oneshot::channel();
    let url = url.to_owned();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let registry = builder(&url).connect().await.unwrap();
            let announcement = registry.announce("s", Instance::new(id)).await.unwrap();
            let _ = announced.send(());
            #[allow(clippy::disallowed_methods, reason = "it is the runtime that is to be blocked")]
            std::thread::sleep(pause);
            let _ = thawed.send(());
            // Until the test is over.
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(announcement);
        });
    });
    (frozen, thaw)
}
