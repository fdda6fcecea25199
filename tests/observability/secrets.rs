//! A key that an instance holds, and an error that tells it, appear nowhere but in the user's own error.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::registry::{Entry, EntryChange};
use loadbalance::strategy::RoundRobin;
use loadbalance::{Cause, StrategySpec};

use crate::capture::Capture;

const KEY: &str = "sk-do-not-tell";

/// An instance whose `Debug` prints the key.
#[derive(Debug)]
struct Vendor {
    name: &'static str,
    key: String,
}

impl ServiceInstance for Vendor {
    fn id(&self) -> &str {
        self.name
    }
}

/// An error whose `Debug` and `Display` print the key.
#[derive(Debug)]
struct Leaky(FailureKind, String);

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET https://vendor/?key={}: {}", self.1, self.0)
    }
}

impl std::error::Error for Leaky {}

impl Classify for Leaky {
    fn classify(&self) -> Failure {
        Failure::new(self.0).with_retry_after(Duration::from_secs(1))
    }
}

fn vendor(name: &'static str) -> Vendor {
    Vendor { name, key: KEY.into() }
}

#[track_caller]
fn check(what: &str, text: &str) {
    assert!(!text.contains(KEY), "{what} tells the key: {text}");
}

/// What the library says of an error, apart from the user's own error in it.
fn check_error(error: &Error<Leaky>) {
    check("Display of an error", &error.to_string());
    check("its trail", &format!("{:?} {}", error.call().trail, error.call().trail));
    check("the trail as JSON", &serde_json::to_string(&error.call().trail).unwrap());
    if let Some(cause) = error.cause() {
        check("Display of the cause", &cause.to_string());
    }
    // The user's own error is handed on whole: that is what it is for.
    if let Some(Cause::Error(own)) = error.cause() {
        assert!(own.to_string().contains(KEY));
        assert!(error.source().unwrap().to_string().contains(KEY));
    } else {
        check("Debug of an error", &format!("{error:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_told_nowhere() {
    let (capture, _guard) = Capture::start();
    let registry = MemoryRegistry::new();
    for name in ["a", "b"] {
        registry.register("s", vendor(name)).await.unwrap();
    }
    let builder = LoadBalancer::builder(registry.clone()).strategy(RoundRobin::new()).seed(1);
    check("Debug of the builder", &format!("{builder:?}"));
    let lb = builder.build();
    let options = CallOptions::new().max_retries(5).deadline(Duration::from_secs(60));
    for kind in FailureKind::ALL {
        let error = lb
            .execute_with("s", options.clone(), async |vendor| {
                check("Debug of what is picked", &format!("{vendor:?}"));
                Err::<(), _>(Leaky(kind, vendor.key.clone()))
            })
            .await
            .unwrap_err();
        check_error(&error);
        registry.replace_all("s", ["a", "b"].map(vendor)).unwrap();
    }
    let slow = options.clone().attempt_timeout(Duration::from_secs(1)).max_retries(0);
    let error = lb
        .execute_with("s", slow, async |_| std::future::pending::<Result<(), Leaky>>().await)
        .await
        .unwrap_err();
    check_error(&error);
    let spec = StrategySpec::new("no_such_strategy");
    registry.set_config("s", ServiceConfig::builder().strategy(spec).build().unwrap()).await.unwrap();

    let picked = lb.pick("s", &CallOptions::new()).await.unwrap();
    assert_eq!(picked.key, KEY);
    let handle = lb.service("s");
    let stats = lb.stats("s").unwrap();
    let before = registry.watch("s").await.unwrap();
    let snapshot = before.current();
    registry.set_override("s", "a", Override::drain()).await.unwrap();
    registry.deregister("s", "b").await.unwrap();
    registry.register("s", vendor("c")).await.unwrap();
    let after = before.current();
    let changes: Vec<EntryChange<'_, Vendor>> = snapshot.entries.diff(&after.entries).collect();
    assert_eq!(changes.len(), 3);
    let entry: &Entry<Vendor> = snapshot.entries.get("a").unwrap();
    assert_eq!(entry.instance.key, KEY);
    let announced = registry.announce("s", vendor("d")).await.unwrap();

    for (what, text) in [
        ("the statistics", format!("{stats:?} {}", serde_json::to_string(&stats).unwrap())),
        ("the balancer", format!("{lb:?} {:?}", *lb)),
        ("a handle", format!("{handle:?}")),
        ("what is picked", format!("{picked:?}")),
        ("the registry", format!("{registry:?}")),
        ("a watch", format!("{before:?}")),
        ("a snapshot", format!("{snapshot:?}")),
        ("its entries", format!("{:?}", snapshot.entries)),
        ("an entry", format!("{entry:?}")),
        ("changes", format!("{changes:?}")),
        ("an announcement", format!("{announced:?}")),
        ("call options", format!("{options:?}")),
    ] {
        check(what, &text);
    }
    assert!(format!("{entry:?}").contains("\"a\""), "an entry tells its id");
    picked.finish();
    drop((lb, handle, announced, registry));
    let events = capture.take();
    assert!(events.len() > 20, "there was something to see: {events:?}");
    check("an event", &format!("{events:?}"));
}
