//! Passwords are printed nowhere. A program of its own: what is logged depends on who else listens in the process.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, EtcdRegistryBuilder};
use lb_testkit::etcd::EtcdServer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECRET: &str = "hunter2-in-the-password";
const KEY: &str = "sk-in-the-instance";

fn builder(urls: [String; 1]) -> EtcdRegistryBuilder<Instance> {
    EtcdRegistry::builder(urls).ttl(Duration::from_secs(5))
}

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _ = writeln!(self.0.lock().unwrap(), "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// One thread: everything that happens in it is logged here, also by the HTTP/2 library at its most talkative.
#[tokio::test]
async fn they_are_not_in_logs_errors_status_or_debug_output() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let etcd = EtcdServer::start().await.unwrap();
    for args in [
        &["user", "add", &format!("root:{SECRET}")][..],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ] {
        etcd.etcdctl(args).await.unwrap();
    }
    let mut seen = String::new();
    let mut see = |what: &dyn fmt::Debug| {
        use fmt::Write;
        let _ = write!(seen, "{what:?} {what:#?}");
    };

    let settings = builder([etcd.client_url()]).user("root", SECRET);
    see(&settings);
    let registry = settings.connect().await.unwrap();
    let keyed = || Instance::new("a").with_metadata("key", KEY);
    registry.register("cart", keyed()).await.unwrap();
    let announcement = registry.announce("cart", keyed().with_weight(2)).await.unwrap();
    let watch = registry.watch("cart").await.unwrap();
    see(&registry);
    see(&announcement);
    see(&registry.status());
    see(&registry.register("cart", keyed().with_metadata("huge", "x".repeat(2 << 20))).await.unwrap_err());
    let wrong = builder([etcd.client_url()]).user("root", format!("{SECRET}-but-wrong")).connect().await;
    see(&wrong.unwrap_err());
    etcd.kill9();
    see(&registry.register("cart", keyed()).await.unwrap_err());
    etcd.restart().await.unwrap();
    let live = || (registry.status().freshness == lb_core::registry::Freshness::Live).then_some(());
    lb_testkit::eventually("live again", Duration::from_secs(20), live).await.unwrap();
    assert_eq!(watch.current().entries.len(), 1);

    let logged = log.0.lock().unwrap().clone();
    assert!(logged.contains("following etcd"), "nothing was logged");
    for text in [&seen, &logged] {
        for secret in [SECRET, KEY] {
            let at = text.find(secret);
            let around = at.map(|at| &text[at.saturating_sub(200)..(at + 60).min(text.len())]);
            assert!(at.is_none(), "{secret} is printed: {around:?}");
        }
    }
}
