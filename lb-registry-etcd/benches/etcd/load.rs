//! Connecting to a registry that holds many instances.

use std::sync::Arc;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::EtcdRegistry;

use crate::process::Other;
use crate::{Registry, row};

const WRITERS: usize = 64;

pub(crate) async fn measure(url: &str) {
    let urls = [url.to_owned()];
    for count in [10_000, 100_000] {
        let prefix = format!("load/{count}");
        let registry: Registry =
            EtcdRegistry::builder(urls.clone()).prefix(&prefix).services(|_| false).connect().await.unwrap();
        let registry = Arc::new(registry);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let registry = Arc::clone(&registry);
            writers.spawn(async move {
                for n in (writer..count).step_by(WRITERS) {
                    let instance = Instance::new(format!("instance-{n:06}"))
                        .with_address(format!("10.{}.{}.{}:8080", n >> 16, (n >> 8) & 255, n & 255))
                        .with_zone("eu-central-1a")
                        .with_metadata("version", "1.2.3");
                    registry.register("bench", instance).await.unwrap();
                }
            });
        }
        writers.join_all().await;
        let mut best: Option<(u64, u64)> = None;
        for _ in 0..3 {
            let line = Other::start("load", &prefix, &urls).line();
            let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
            assert_eq!(numbers[0], count as u64);
            best = Some(best.map_or((numbers[1], numbers[2]), |best| best.min((numbers[1], numbers[2]))));
        }
        let (micros, bytes) = best.unwrap();
        row(&format!("connect to {count} instances, best of 3"), format!("{:.0} ms", micros as f64 / 1e3));
        row(&format!("memory per instance, of {count}"), format!("{} B", bytes / count as u64));
    }
}
