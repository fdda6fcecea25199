//! From an announcement to the view of another process.

use std::time::Instant;

use lb_core::{Instance, ServiceRegistry};
use lb_testkit::redis::RedisServer;

use crate::{connect, row};

/// From the beginning of an announcement in one process until it is in the snapshot of another.
pub(crate) async fn measure(samples: usize) {
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
    row(
        &format!("`announce` → visible elsewhere, p50 / p99 / worst of {samples}"),
        format!("{:.2} / {:.2} / {:.2} ms", at(0.5), at(0.99), at(1.0)),
    );
}
