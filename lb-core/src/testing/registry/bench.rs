//! What a rule is checked with: [`Bench`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::RegistryContract;
use super::observer::Observer;
use crate::config::ServiceConfig;
use crate::instance::Instance;
use crate::registry::{Announcement, ConfigEntry, Entry, Override, RegistryError, Revision, ServiceRegistry};

/// An empty registry, the rule that is being checked and the bounds on waiting. Its methods are the registry's, for
/// calls that must succeed. Printed, it starts a failure's message.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) registry: Arc<dyn ServiceRegistry<Instance>>,
    pub(super) settle: Duration,
    pub(super) quiet: Duration,
    rule: &'static str,
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the registry breaks `{}`", self.rule)
    }
}

impl Bench {
    pub(super) fn new(
        registry: Arc<dyn ServiceRegistry<Instance>>,
        rule: &'static str,
        contract: &RegistryContract,
    ) -> Self {
        Self { registry, settle: contract.settle, quiet: contract.quiet, rule }
    }

    /// The value of a call that must succeed.
    pub(super) fn succeeds<T>(&self, call: impl fmt::Display, result: Result<T, RegistryError>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("{self}: {call} failed: {error}"),
        }
    }

    /// The error of a call that must fail.
    pub(super) fn fails<T>(
        &self,
        call: impl fmt::Display,
        result: Result<T, RegistryError>,
    ) -> RegistryError {
        match result {
            Ok(_) => panic!("{self}: {call} succeeded"),
            Err(error) => error,
        }
    }

    pub(super) async fn register(&self, service: &str, instance: Instance) {
        let call = format!("registering {:?} in {service:?}", instance.id);
        self.succeeds(call, self.registry.register(service, instance).await);
    }

    /// Registers instances with these ids and nothing else.
    pub(super) async fn register_ids(&self, service: &str, ids: &[&str]) {
        for id in ids {
            self.register(service, Instance::new(*id)).await;
        }
    }

    pub(super) async fn announce(&self, service: &str, instance: Instance) -> Announcement<Instance> {
        let id = instance.id.clone();
        let call = format!("announcing {id:?} in {service:?}");
        let announcement = self.succeeds(call, self.registry.announce(service, instance).await);
        assert_eq!(announcement.id(), id, "{self}: the announcement has another id than its instance");
        announcement
    }

    pub(super) async fn deregister(&self, service: &str, id: &str) -> bool {
        let call = format!("deregistering {id:?} in {service:?}");
        self.succeeds(call, self.registry.deregister(service, id).await)
    }

    pub(super) async fn set_override(&self, service: &str, id: &str, over: Override) {
        let call = format!("laying {over:?} over {id:?} in {service:?}");
        self.succeeds(call, self.registry.set_override(service, id, over).await);
    }

    pub(super) async fn set_config(&self, service: &str, config: ServiceConfig) {
        self.succeeds(format!("configuring {service:?}"), self.registry.set_config(service, config).await);
    }

    pub(super) async fn compare_and_set(&self, service: &str, expected: Revision, config: ServiceConfig) {
        let call = format!("configuring {service:?}, expecting revision {expected}");
        self.succeeds(call, self.registry.compare_and_set_config(service, expected, config).await);
    }

    pub(super) async fn remove_config(&self, service: &str) -> bool {
        let call = format!("removing the configuration of {service:?}");
        self.succeeds(call, self.registry.remove_config(service).await)
    }

    pub(super) async fn services(&self) -> Vec<String> {
        self.succeeds("listing the services", self.registry.services().await)
    }

    pub(super) async fn instances(&self, service: &str) -> Vec<Arc<Entry<Instance>>> {
        self.succeeds(format!("reading the instances of {service:?}"), self.registry.instances(service).await)
    }

    pub(super) async fn config(&self, service: &str) -> Option<Arc<ConfigEntry>> {
        self.succeeds(
            format!("reading the configuration of {service:?}"),
            self.registry.config(service).await,
        )
    }

    pub(super) async fn watch(&self, service: &str) -> Observer {
        let watch = self.succeeds(format!("watching {service:?}"), self.registry.watch(service).await);
        Observer::new(self.clone(), service, watch)
    }

    /// Asks again and again, until `right` says that the answer is.
    pub(super) async fn eventually<T: fmt::Debug, Fut: Future<Output = T>>(
        &self,
        what: &str,
        ask: impl Fn(Self) -> Fut,
        right: impl Fn(&T) -> bool,
    ) {
        let give_up = tokio::time::Instant::now() + self.settle;
        loop {
            let answer = ask(self.clone()).await;
            if right(&answer) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < give_up,
                "{self}: {what} is {answer:?}, still after {:?}",
                self.settle
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until exactly these services are listed, in this order.
    pub(super) async fn lists(&self, expected: &[&str]) {
        let what = format!("the list of services, which should be {expected:?},");
        self.eventually(&what, async |bench: Self| bench.services().await, |listed| listed == expected).await;
    }

    /// Checks for a quiet period that exactly these services are listed.
    pub(super) async fn keeps_listing(&self, expected: &[&str]) {
        self.lists(expected).await;
        tokio::time::sleep(self.quiet).await;
        let listed = self.services().await;
        assert_eq!(listed, expected, "{self}: the list of services has changed by itself");
    }
}
