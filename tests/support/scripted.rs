//! A registry whose look-ups a test directs, as if it were behind a network.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use loadbalance::prelude::*;
use loadbalance::registry::{Announcement, Entry, Publisher, RegistryError, Snapshot, SnapshotWatch};

/// How the next look-ups go.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "each test file uses some")]
pub(crate) enum Answer {
    /// After that long.
    After(Duration),
    /// With an error, after that long.
    Fails(Duration),
}

#[derive(Clone)]
pub(crate) struct Scripted(Arc<State>);

struct State {
    services: Mutex<BTreeMap<String, Arc<Publisher<Instance>>>>,
    answer: Mutex<Answer>,
    revision: AtomicUsize,
    asked: AtomicUsize,
}

#[allow(dead_code, reason = "each test file uses some")]
impl Scripted {
    /// A registry of the service `s` with the instances `ids`, or of none.
    pub(crate) fn new(ids: &[&str]) -> Self {
        let this = Self(Arc::new(State {
            services: Mutex::default(),
            answer: Mutex::new(Answer::After(Duration::ZERO)),
            revision: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }));
        if !ids.is_empty() {
            this.put("s", ids);
        }
        this
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    /// Makes `ids` the instances of a service. The balancer's own task takes it over when it runs.
    pub(crate) fn put(&self, service: &str, ids: &[&str]) {
        let revision = Revision::new(self.0.revision.fetch_add(1, Ordering::Relaxed) as u64 + 1);
        let entries = ids.iter().map(|id| Arc::new(Entry::new(Instance::new(*id), revision))).collect();
        self.publisher(service).publish(Snapshot::new(entries, None, revision));
    }

    /// How many watches on a service are alive.
    pub(crate) fn watches(&self, service: &str) -> usize {
        self.0.services.lock().unwrap().get(service).map_or(0, |publisher| publisher.watches())
    }

    /// How often the balancer asked for a watch.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Drops all publishers: the registry is gone.
    pub(crate) fn die(&self) {
        self.0.services.lock().unwrap().clear();
    }

    fn publisher(&self, service: &str) -> Arc<Publisher<Instance>> {
        Arc::clone(self.0.services.lock().unwrap().entry(service.to_owned()).or_default())
    }
}

fn read_only<T>(service: &str) -> Result<T, RegistryError> {
    Err(RegistryError::backend("write", service, "only the test writes here"))
}

#[async_trait]
impl ServiceRegistry<Instance> for Scripted {
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
        service: &str,
        _: Revision,
        _: ServiceConfig,
    ) -> Result<(), RegistryError> {
        read_only(service)
    }
    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        read_only(service)
    }
    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        Ok(self.0.services.lock().unwrap().keys().cloned().collect())
    }
    async fn watch(&self, service: &str) -> Result<SnapshotWatch<Instance>, RegistryError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let answer = *self.0.answer.lock().unwrap();
        match answer {
            Answer::After(time) => {
                tokio::time::sleep(time).await;
                Ok(self.publisher(service).watch())
            }
            Answer::Fails(time) => {
                tokio::time::sleep(time).await;
                Err(RegistryError::backend("watch", service, "the store is on fire"))
            }
        }
    }
}
