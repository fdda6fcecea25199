//! A registry written by a user: a fixed list of hosts that a program reloads, as from a file.

use std::sync::Arc;

use async_trait::async_trait;
use loadbalance::prelude::*;
use loadbalance::registry::{
    Announcement, Entries, Entry, Freshness, Publisher, RegistryError, Snapshot, SnapshotWatch,
};

#[derive(Clone, Default)]
struct HostList(Arc<Publisher<Instance>>);

impl HostList {
    fn load(&self, revision: u64, hosts: &[&str]) {
        let entries =
            hosts.iter().map(|host| Arc::new(Entry::new(Instance::new(*host), Revision::new(revision))));
        self.0.publish(Snapshot::new(entries.collect::<Entries<_>>(), None, Revision::new(revision)));
    }

    fn lost(&self) {
        let stale = Freshness::Stale { since: std::time::SystemTime::UNIX_EPOCH };
        self.0.publish((*self.0.latest()).clone().with_freshness(stale));
    }
}

fn read_only<T>(service: &str) -> Result<T, RegistryError> {
    Err(RegistryError::backend("write", service, "the host list is read-only"))
}

#[async_trait]
impl ServiceRegistry<Instance> for HostList {
    async fn register(&self, service: &str, _: Instance) -> Result<(), RegistryError> {
        read_only(service)
    }
    async fn announce(&self, service: &str, _: Instance) -> Result<Announcement<Instance>, RegistryError> {
        read_only(service)
    }
    async fn deregister(&self, service: &str, _: &str) -> Result<bool, RegistryError> {
        read_only(service)
    }
    async fn set_override(&self, service: &str, _: &str, _: Override) -> Result<(), RegistryError> {
        read_only(service)
    }
    async fn set_config(&self, service: &str, _: ServiceConfig) -> Result<(), RegistryError> {
        read_only(service)
    }
    async fn compare_and_set_config(
        &self,
        s: &str,
        _: Revision,
        _: ServiceConfig,
    ) -> Result<(), RegistryError> {
        read_only(s)
    }
    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        read_only(service)
    }
    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        Ok(vec!["web".into()])
    }
    async fn watch(&self, service: &str) -> Result<SnapshotWatch<Instance>, RegistryError> {
        if service == "web" { Ok(self.0.watch()) } else { Ok(Publisher::default().watch()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_of_the_users_own() {
    let hosts = HostList::default();
    hosts.load(1, &["a"]);
    let lb = LoadBalancer::new(hosts.clone());
    let pick = async || lb.execute("web", async |i| Ok::<_, RequestError>(i.id.clone())).await;
    assert_eq!(pick().await.unwrap(), "a");
    hosts.load(2, &["b"]);
    // This registry does not apply on the writer's side: the balancer's own task does, as soon as it runs.
    tokio::task::yield_now().await;
    assert_eq!(pick().await.unwrap(), "b");
    hosts.lost();
    tokio::task::yield_now().await;
    assert_eq!(pick().await.unwrap(), "b", "an outage never becomes an empty list");
    assert!(matches!(lb.stats("web").unwrap().freshness, Freshness::Stale { .. }));
    let error = lb.execute("other", async |_| Ok::<_, RequestError>(())).await.unwrap_err();
    assert!(matches!(error, Error::NoAvailableInstance { .. }));
    let error = hosts.register("web", Instance::new("c")).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("read-only"));
}
