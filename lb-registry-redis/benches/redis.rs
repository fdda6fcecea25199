//! What the registry costs and how fast it is, on a real server on this machine. `cargo bench -p lb-registry-redis`.
//!
//! One process plays both sides, over connections of their own, so that the numbers are those of the registry and of
//! Redis and not of a network.

#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lb_core::registry::Announcement;
use lb_core::{Instance, ServiceRegistry};
use lb_registry_redis::RedisRegistry;
use lb_testkit::redis::RedisServer;
use lb_testkit::{Proxy, ProxyMode, eventually, eventually_async};

const INSTANCES: &str = "lb:{bench/s}:i";

/// `cargo bench` passes `--bench`; `cargo test --benches` does not, and gets a run that only shows that it works.
fn is_smoke() -> bool {
    !std::env::args().any(|arg| arg == "--bench")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let small = is_smoke();
        visible(if small { 20 } else { 2_000 }).await;
        for n in if small { vec![100] } else { vec![10_000, 100_000] } {
            load(n).await;
        }
        beats(if small { 200 } else { 10_000 }, Duration::from_secs(if small { 1 } else { 15 })).await;
        recovery(small).await;
    });
}

async fn connect(url: &str) -> RedisRegistry<Instance> {
    RedisRegistry::builder(url).unwrap().namespace("bench").connect().await.unwrap()
}

fn instance(n: usize) -> Instance {
    Instance::new(format!("instance-{n:06}"))
        .with_address(format!("10.{}.{}.{}:8080", n >> 16, (n >> 8) & 255, n & 255))
        .with_zone("eu-central-1a")
        .with_metadata("version", "2025-11-04.3")
}

/// From the beginning of an announcement in one process until it is in the snapshot of another.
async fn visible(samples: usize) {
    let redis = RedisServer::start().await.unwrap();
    let (a, b) = (connect(&redis.url()).await, connect(&redis.url()).await);
    let mut watch = b.watch("s").await.unwrap();
    let mut times = Vec::with_capacity(samples);
    for n in 0..samples {
        let id = format!("i{n}");
        let start = Instant::now();
        let announcing = tokio::spawn({
            let (a, id) = (a.clone(), id.clone());
            async move { a.announce("s", Instance::new(id)).await.unwrap() }
        });
        while watch.current().entries.get(&id).is_none() {
            watch.changed().await.unwrap();
        }
        times.push(start.elapsed());
        drop(announcing.await.unwrap());
        while watch.current().entries.get(&id).is_some() {
            watch.changed().await.unwrap();
        }
    }
    times.sort();
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    println!(
        "announce -> visible, {samples} samples: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// A process that starts where a service has `n` instances.
async fn load(n: usize) {
    let redis = RedisServer::start().await.unwrap();
    let writer = connect(&redis.url()).await;
    let empty: f64 = redis.info("memory", "used_memory").await.unwrap().parse().unwrap();
    let start = Instant::now();
    for chunk in (0..n).collect::<Vec<_>>().chunks(500) {
        for written in join_all(chunk.iter().map(|&n| writer.register("s", instance(n)))).await {
            written.unwrap();
        }
    }
    let written = start.elapsed();
    let full: f64 = redis.info("memory", "used_memory").await.unwrap().parse().unwrap();
    drop(writer);
    // The writer's side of it must not count as ours.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut took = Vec::new();
    let mut grown = 0.0;
    for round in 0..3 {
        let reader = connect(&redis.url()).await;
        let before = rss();
        let start = Instant::now();
        let watch = reader.watch("s").await.unwrap();
        assert_eq!(watch.current().entries.len(), n);
        took.push(start.elapsed().as_secs_f64());
        if round == 0 {
            grown = rss() - before;
        }
    }
    took.sort_by(f64::total_cmp);
    println!(
        "load {n}: {:.3} s (median of three); reader +{grown:.0} MB; Redis {:.0} bytes an instance; written in {:.2} s",
        took[1],
        (full - empty) / n as f64,
        written.as_secs_f64()
    );
}

/// One process that stands behind `n` instances.
async fn beats(n: usize, length: Duration) {
    let redis = RedisServer::start().await.unwrap();
    let registry = connect(&redis.url()).await;
    let start = Instant::now();
    let announced: Vec<Announcement<Instance>> = join_all((0..n).map(|n| {
        let registry = registry.clone();
        async move { registry.announce("s", instance(n)).await.unwrap() }
    }))
    .await;
    let announcing = start.elapsed();
    let server = async || {
        let mut seconds = 0.0;
        for field in ["used_cpu_user", "used_cpu_sys"] {
            seconds += redis.info("cpu", field).await.unwrap().parse::<f64>().unwrap();
        }
        seconds
    };
    let calls =
        async || redis.info("stats", "total_commands_processed").await.unwrap().parse::<f64>().unwrap();
    let (start, ours, theirs, asked) = (Instant::now(), cpu(), server().await, calls().await);
    tokio::time::sleep(length).await;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "heartbeats of {n} instances of one process, time-to-live 15 s: {:.2} % of a core here, {:.2} % in Redis, {:.0} \
         commands a second (those in scripts included); announced in {:.2} s",
        (cpu() - ours) / seconds * 100.0,
        (server().await - theirs) / seconds * 100.0,
        (calls().await - asked) / seconds,
        announcing.as_secs_f64()
    );
    assert_eq!(redis.cli(&["HLEN", INSTANCES]).await.unwrap().trim(), n.to_string());
    drop(announced);
}

/// How long after a fault a new registration is seen by another process, and what was announced is there again.
async fn recovery(small: bool) {
    let mut redis = RedisServer::start().await.unwrap();
    let mut faults: Vec<&str> =
        vec!["CLIENT KILL", "FLUSHALL", "kill -9, data lost", "SIGSTOP for 4 s", "black hole for 4 s"];
    if small {
        faults.truncate(2);
    }
    for fault in faults {
        redis.kill9();
        redis = RedisServer::start().await.unwrap();
        let proxy = Proxy::start(redis.address()).await.unwrap();
        let url = format!("redis://{}", proxy.address());
        let (a, b) = (connect(&url).await, connect(&url).await);
        let announced = a.announce("s", Instance::new("announced")).await.unwrap();
        let watch = b.watch("s").await.unwrap();
        match fault {
            "CLIENT KILL" => {
                for kind in ["pubsub", "normal"] {
                    redis.cli(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await.unwrap();
                }
            }
            "FLUSHALL" => drop(redis.cli(&["FLUSHALL"]).await.unwrap()),
            "kill -9, data lost" => {
                redis.kill9();
                tokio::time::sleep(Duration::from_secs(4)).await;
                redis.restart().await.unwrap();
            }
            "SIGSTOP for 4 s" => {
                redis.stop();
                tokio::time::sleep(Duration::from_secs(4)).await;
                redis.cont();
            }
            _ => {
                proxy.set(ProxyMode::BlackHole);
                tokio::time::sleep(Duration::from_secs(4)).await;
                proxy.set(ProxyMode::Pass);
            }
        }
        let bound = Duration::from_secs(20);
        let start = Instant::now();
        let a = Arc::new(a);
        eventually_async("a registration", bound, async || a.register("s", Instance::new("new")).await.ok())
            .await
            .unwrap();
        eventually("it is seen", bound, || watch.current().entries.get("new").map(drop)).await.unwrap();
        let seen = start.elapsed();
        let there = eventually_async("what was announced", bound, async || {
            (redis.cli(&["HEXISTS", INSTANCES, "announced"]).await.ok()?.trim() == "1").then_some(())
        });
        there.await.unwrap();
        println!(
            "recovery from {fault}: a new instance is seen after {:.2} s, what was announced is there after {:.2} s",
            seen.as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
        drop(announced);
    }
}

/// What this process has in memory, in MB.
fn rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// The seconds of processor time that this process has had.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time, in hundredths of a second.
    [11, 12].iter().filter_map(|&n| fields.get(n)?.parse::<f64>().ok()).sum::<f64>() / 100.0
}
