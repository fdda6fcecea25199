//! Whether calls suffer while the registry changes.

use std::time::Duration;

use lb_core::{Instance, LoadBalancer, ServiceRegistry};
use lb_testkit::picks::{Rates, while_changing};
use lb_testkit::redis::RedisServer;

use crate::{connect, instance, row};

/// `n` instances, of which one is written anew every millisecond by another registry.
pub(crate) async fn measure(n: usize, period: Duration) {
    let redis = RedisServer::start().await.unwrap();
    let (writer, reader) = (connect(&redis.url()).await, connect(&redis.url()).await);
    for n in 0..n {
        writer.register("s", instance(n)).await.unwrap();
    }
    let watch = reader.watch("s").await.unwrap();
    let writing = || {
        let writer = writer.clone();
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(1));
            for round in 0_u32.. {
                tick.tick().await;
                let (writer, id) = (writer.clone(), instance(round as usize % n).id);
                tokio::spawn(async move {
                    writer.register("s", Instance::new(id).with_weight(1 + round % 9)).await
                });
            }
        });
        Writing(task.abort_handle())
    };
    let Rates { quiet, busy, changes } =
        while_changing(LoadBalancer::new(reader), "s", watch, period, writing).await;
    row(
        &format!("calls per second of processor time, {n} instances, quiet"),
        format!("{:.2} M", quiet / 1e6),
    );
    row(&format!("the same, {changes:.0} snapshots per second arriving"), format!("{:.2} M", busy / 1e6));
    row("ratio", format!("{:.2}", busy / quiet));
}

struct Writing(tokio::task::AbortHandle);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abort();
    }
}
