//! What the registry costs and how fast it is, on a real server on this machine: `cargo bench -p lb-registry-redis`.
//!
//! Prints one table. Arguments choose what is measured (`visible`, `load`, `beats`, `picks`, `faults`); none is
//! everything. It takes about two minutes. One process plays both sides, over connections of their own, so that the
//! numbers are those of the registry and of Redis and not of a network.

#![allow(clippy::disallowed_methods, reason = "measures real time")]

mod beats;
mod faults;
mod load;
mod picks;
mod visible;

use std::time::Duration;

use lb_core::Instance;
use lb_registry_redis::RedisRegistry;

pub(crate) const INSTANCES: &str = "lb:{bench/s}:i";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and gets a run that only shows that it works.
    let small = !args.iter().any(|arg| arg == "--bench");
    let named: Vec<_> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|arg| *arg == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("| what | value |\n|---|---|");
        if wanted("visible") {
            visible::measure(if small { 20 } else { 2_000 }).await;
        }
        if wanted("load") {
            for n in if small { vec![100] } else { vec![10_000, 100_000] } {
                load::measure(n).await;
            }
        }
        if wanted("beats") {
            let (n, length) = if small { (200, 1) } else { (10_000, 15) };
            beats::measure(n, Duration::from_secs(length)).await;
        }
        if wanted("picks") {
            let (n, period) = if small { (10, 100) } else { (1_000, 2_000) };
            picks::measure(n, Duration::from_millis(period)).await;
        }
        if wanted("faults") {
            faults::measure(small).await;
        }
    });
}

pub(crate) fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

pub(crate) async fn connect(url: &str) -> RedisRegistry<Instance> {
    RedisRegistry::builder(url).unwrap().namespace("bench").connect().await.unwrap()
}

pub(crate) fn instance(n: usize) -> Instance {
    Instance::new(format!("instance-{n:06}"))
        .with_address(format!("10.{}.{}.{}:8080", n >> 16, (n >> 8) & 255, n & 255))
        .with_zone("eu-central-1a")
        .with_metadata("version", "2025-11-04.3")
}
