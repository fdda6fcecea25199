//! What the registry costs, on real etcd processes: `cargo bench -p lb-registry-etcd`.
//!
//! Prints one table. Arguments choose what is measured (`visible`, `load`, `picks`, `faults`); none is everything. It
//! takes about two minutes.

mod faults;
mod load;
mod picks;
mod process;
mod visible;

use lb_core::Instance;
use lb_registry_etcd::EtcdRegistry;
use lb_testkit::etcd::{EtcdCluster, EtcdServer};

pub(crate) type Registry = EtcdRegistry<Instance>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if args.first().is_some_and(|arg| arg == process::COMMAND) {
        runtime.block_on(process::serve(&args[1..]));
        return;
    }
    let wanted = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    runtime.block_on(async {
        println!("| what | value |\n|---|---|");
        if wanted("visible") {
            let cluster = EtcdCluster::start().await.unwrap();
            visible::measure(&cluster.client_urls()).await;
        }
        if wanted("load") {
            let etcd = EtcdServer::start().await.unwrap();
            load::measure(&etcd.client_url()).await;
        }
        if wanted("picks") {
            let etcd = EtcdServer::start().await.unwrap();
            picks::measure(&etcd.client_url()).await;
        }
        if wanted("faults") {
            faults::measure().await;
        }
    });
}

pub(crate) fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

/// The value below which that share of the samples lies.
pub(crate) fn quantile(samples: &mut [std::time::Duration], share: f64) -> std::time::Duration {
    samples.sort_unstable();
    samples[((samples.len() - 1) as f64 * share) as usize]
}
