//! What it costs to stay announced.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lb_core::registry::Announcement;
use lb_core::{Instance, ServiceRegistry};
use lb_testkit::redis::RedisServer;

use crate::{INSTANCES, connect, instance, row};

/// One process that stands behind `n` instances.
pub(crate) async fn measure(n: usize, length: Duration) {
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
    let share = |seconds_used: f64| seconds_used / seconds * 100.0;
    let what = format!("heartbeats of {n} instances of one process, time-to-live 15 s");
    row(
        &what,
        format!(
            "{:.2} % of a core here, {:.2} % in Redis",
            share(cpu() - ours),
            share(server().await - theirs)
        ),
    );
    row(
        "the same, in commands a second, those in scripts included",
        format!("{:.0}", (calls().await - asked) / seconds),
    );
    row(&format!("announce {n} instances at once"), format!("{:.2} s", announcing.as_secs_f64()));
    assert_eq!(redis.cli(&["HLEN", INSTANCES]).await.unwrap().trim(), n.to_string());
    drop(announced);
}

/// The seconds of processor time that this process has had.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time, in hundredths of a second.
    [11, 12].iter().filter_map(|&n| fields.get(n)?.parse::<f64>().ok()).sum::<f64>() / 100.0
}
