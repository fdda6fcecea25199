//! From `announce` to where another process sees the instance.

use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::EtcdRegistry;

use crate::process::{Other, now};
use crate::{Registry, quantile, row};

const SAMPLES: usize = 1_000;

pub(crate) async fn measure(urls: &[String]) {
    let mut other = Other::start("follow", "bench", urls);
    assert_eq!(other.line(), "ready");
    let registry: Registry = EtcdRegistry::builder(urls.to_vec()).prefix("bench").connect().await.unwrap();
    // The first one also takes the lease.
    let mut kept = vec![registry.announce("bench", Instance::new("first")).await.unwrap()];
    other.line();

    // What etcd takes for a write, in turn with the others: the floor, on this machine at this moment.
    let bare = etcd_client::Client::connect(urls, None).await.unwrap();
    let (mut visible, mut returned, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..SAMPLES {
        let start = now();
        bare.kv_client().put(format!("bare/{n}"), "x".repeat(200), None).await.unwrap();
        floor.push(Duration::from_nanos((now() - start) as u64));
        let instance = Instance::new(format!("{n}")).with_address("10.0.0.1:8080");
        let start = now();
        kept.push(registry.announce("bench", instance).await.unwrap());
        returned.push(Duration::from_nanos((now() - start) as u64));
        let line = other.line();
        let at: u128 = line.split_once(' ').unwrap().1.parse().unwrap();
        visible.push(Duration::from_nanos(at.saturating_sub(start) as u64));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for (what, samples) in [
        ("a bare put, 3 members", &mut floor),
        ("announce → visible in another process, 3 members", &mut visible),
        ("announce → returned, 3 members", &mut returned),
    ] {
        let value = format!("{:.2?} / {:.2?}", quantile(samples, 0.5), quantile(samples, 0.99));
        row(&format!("{what}, p50 / p99 of {SAMPLES}"), value);
    }
}
