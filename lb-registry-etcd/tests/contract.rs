//! `EtcdRegistry` keeps the contract of every registry, on a real etcd.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lb_core::testing::RegistryContract;
use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, EtcdRegistryBuilder, KratosCodec};
use lb_testkit::etcd::{EtcdCluster, EtcdServer};

static PREFIX: AtomicUsize = AtomicUsize::new(0);

/// An empty registry: one under a prefix that nobody else has.
fn empty(urls: &[String]) -> EtcdRegistryBuilder<Instance> {
    let n = PREFIX.fetch_add(1, Ordering::Relaxed);
    EtcdRegistry::builder(urls.iter().cloned()).prefix(format!("contract/{n}")).ttl(Duration::from_secs(5))
}

fn contract() -> RegistryContract {
    RegistryContract::new().settle(Duration::from_secs(30)).quiet(Duration::from_millis(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let etcd = EtcdServer::start().await.unwrap();
    let urls = [etcd.client_url()];
    contract().check(async || empty(&urls).connect().await.unwrap()).await;
}

/// What is handed out is a trait object, as the balancer has it; and each handle goes through another member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_on_three_members() {
    let cluster = EtcdCluster::start().await.unwrap();
    let urls = cluster.client_urls();
    let make = async || {
        let registry: Box<dyn ServiceRegistry<Instance>> = Box::new(empty(&urls).connect().await.unwrap());
        registry
    };
    // The rules where what other members know matters.
    for part in ["concurrent", "announce", "revision", "writer", "increment"] {
        contract().only(part).check(make).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_in_the_layout_of_others() {
    let etcd = EtcdServer::start().await.unwrap();
    let urls = [etcd.client_url()];
    let make = async || {
        let n = PREFIX.fetch_add(1, Ordering::Relaxed);
        let builder = empty(&urls).codec(KratosCodec).instances_under(format!("/{n}/microservices"));
        builder.connect().await.unwrap()
    };
    // Instances of the contract mostly have no address, which that format cannot do without.
    for part in ["of_two_writers", "a_conflict_changes", "a_plain_write", "failed_writes"] {
        contract().only(part).check(make).await;
    }
}
