//! Services with many instances.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lb_core::ServiceRegistry;
use lb_testkit::redis::RedisServer;

use crate::{connect, instance, row};

/// A process that starts where a service has `n` instances.
pub(crate) async fn measure(n: usize) {
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
    row(&format!("load {n} instances, median of three"), format!("{:.0} ms", took[1] * 1e3));
    row(&format!("memory of who has loaded {n}"), format!("{grown:.0} MB"));
    row(
        &format!("memory of Redis per registered instance, of {n}"),
        format!("{:.0} B", (full - empty) / n as f64),
    );
    row(&format!("register {n} instances, 500 at a time"), format!("{:.2} s", written.as_secs_f64()));
}

/// What this process has in memory, in MB.
fn rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
