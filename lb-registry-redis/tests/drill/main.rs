//! Random sequences of faults, from a seed, some within others: on one server behind a proxy, with
//! sentinels, and in a Cluster.
//!
//! All through, a balancer calls the service every two milliseconds: each call must be served at once, from a snapshot
//! that is not empty. After each fault everybody who is announced must be in Redis, and the snapshot must be what Redis
//! lists by its own tool.

mod cluster;
mod sentinel;
mod standalone;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lb_core::registry::shared::RemovalPolicy;
use lb_core::{Instance, ServiceRegistry};
use lb_registry_redis::{RedisRegistry, RedisRegistryBuilder, Timeouts};
use lb_testkit::redis::RedisServer;
use lb_testkit::schedule::{Backend, Bounds, Drill, SERVICE, Settings};
use lb_testkit::{Error, Result};

/// The time to live of what is announced.
const TTL: Duration = Duration::from_secs(5);
/// How long one that vanished in a crowd is kept.
const GRACE: Duration = Duration::from_secs(6);
/// What was deregistered while nobody looked is a suspect for its grace; and nobody is reaped before all had the time
/// to be heard again.
const BOUNDS: Bounds = Bounds {
    settled: Duration::from_secs(30),
    missing: Duration::from_secs(8),
    look_up: Duration::from_secs(1),
};

const fn between(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(error.to_string())
}

/// The name of one of the service's keys.
fn key(kind: &str) -> String {
    format!("lb:{{default/{SERVICE}}}:{kind}")
}

/// What Redis lists: ids and weights.
async fn listing(server: &RedisServer) -> Result<BTreeMap<String, u32>> {
    let all = server.json(&["HGETALL", &key("i")]).await?;
    let all = all.as_object().cloned().unwrap_or_default();
    all.into_iter()
        .map(|(id, stored)| {
            // The revision and the owner come before the record.
            let json = stored.as_str().and_then(|text| text.splitn(3, ' ').nth(2));
            let record: Option<serde_json::Value> = json.and_then(|json| serde_json::from_str(json).ok());
            let weight = record.as_ref().and_then(|record| record["weight"].as_u64());
            let weight = weight.ok_or_else(|| Error::new(format!("`{id}` is stored as {stored}")))?;
            Ok((id, u32::try_from(weight).map_err(failed)?))
        })
        .collect()
}

fn builder(url: &str) -> Result<RedisRegistryBuilder<Instance>> {
    let removal = RemovalPolicy::for_ttl(TTL).with_grace(GRACE);
    // What somebody deletes by hand, without a word, is noticed when everything is read again. That is once a minute,
    // unless one has no minute.
    let timeouts = Timeouts::default().resync(Duration::from_secs(10));
    Ok(RedisRegistry::builder(url).map_err(failed)?.ttl(TTL).removal(removal).timeouts(timeouts))
}

/// The drill of a registry at one URL, with two others that write by another.
async fn drill(backend: &dyn Backend, observed: &str, written: &str, settings: Settings) -> Result<()> {
    let mut writers: Vec<Arc<dyn ServiceRegistry<Instance>>> = Vec::new();
    for _ in 0..2 {
        writers.push(Arc::new(builder(written)?.connect().await.map_err(failed)?));
    }
    let observer = builder(observed)?.connect().await.map_err(failed)?;
    let report = Drill::new(Arc::new(observer.clone()), writers).bounds(BOUNDS).run(backend, settings).await;
    println!("{:?}", observer.status());
    report.map(|_| ()).map_err(failed)
}

/// Two drills in one test. They do little but wait, and as tests of their own the harness runs them one after the other where
/// there are two processors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_on_one_server_and_with_sentinels() -> Result<()> {
    let drills = [
        ("one server", tokio::spawn(standalone::random_faults())),
        ("sentinels", tokio::spawn(sentinel::random_faults())),
    ];
    for (name, drill) in drills {
        drill.await.map_err(failed)?.map_err(|error| failed(format!("{name}: {error}")))?;
    }
    Ok(())
}
