//! Whether calls suffer while the registry changes.

use std::time::Duration;

use lb_core::{Instance, LoadBalancer, ServiceRegistry};
use lb_registry_etcd::EtcdRegistry;
use lb_testkit::picks::{Rates, while_changing};

use crate::process::Other;
use crate::{Registry, row};

const PERIOD: Duration = Duration::from_secs(2);

pub(crate) async fn measure(url: &str) {
    let registry: Registry = EtcdRegistry::builder([url]).prefix("picks").connect().await.unwrap();
    for n in 0..1_000 {
        registry.register("bench", Instance::new(format!("{n}"))).await.unwrap();
    }
    let watch = registry.watch("bench").await.unwrap();
    let writer = || Other::start("write", "picks", &[url.to_owned()]);
    let Rates { quiet, busy, changes } =
        while_changing(LoadBalancer::new(registry), "bench", watch, PERIOD, writer).await;
    row("calls per second of processor time, 1,000 instances, quiet", format!("{:.2} M", quiet / 1e6));
    row(&format!("the same, {changes:.0} snapshots per second arriving"), format!("{:.2} M", busy / 1e6));
    row("ratio", format!("{:.2}", busy / quiet));
}
