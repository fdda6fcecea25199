//! Metrics: what a monitoring system sees.

// Counts are whole numbers, also where they are `f64`.
#![allow(clippy::float_cmp)]

use std::collections::BTreeMap;
use std::time::Duration;

use loadbalance::prelude::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// All series, as `name{label=value,…}`: a counter's or gauge's value, or a histogram's samples.
#[derive(Default)]
struct Series(BTreeMap<String, Vec<f64>>);

impl Series {
    /// Takes in what has changed since it was last looked: the recorder starts anew each time.
    fn look(&mut self, snapshotter: &Snapshotter) {
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let key = key.key();
            let mut labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
            labels.sort();
            let samples = self.0.entry(format!("{}{{{}}}", key.name(), labels.join(","))).or_default();
            let sum = samples.first().copied().unwrap_or_default();
            match value {
                DebugValue::Counter(n) => *samples = vec![sum + n as f64],
                DebugValue::Gauge(value) => *samples = vec![sum + value.0],
                DebugValue::Histogram(new) => samples.extend(new.iter().map(|sample| sample.0)),
            }
        }
    }

    fn samples(&self, series: &str) -> &[f64] {
        self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.0.keys()))
    }

    fn value(&self, series: &str) -> f64 {
        self.samples(series)[0]
    }
}

async fn balancer(ids: &[&str]) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    for id in ids {
        registry.register("cart", Instance::new(*id)).await.unwrap();
    }
    LoadBalancer::builder(registry).seed(7).build()
}

#[tokio::test(start_paused = true)]
async fn everything_that_happens_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _here = metrics::set_default_local_recorder(&recorder);
    let lb = balancer(&["a", "b", "broken"]).await;
    for _ in 0..1000 {
        lb.execute("cart", async |to| {
            sleep(Duration::from_millis(20)).await;
            if to.id == "broken" { Err(RequestError::service("500")) } else { Ok(()) }
        })
        .await
        .unwrap();
    }
    let error = lb.execute("cart", async |_| Err::<(), _>(RequestError::rejected("400"))).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }));
    let held = lb.pick("cart", &CallOptions::new()).await.unwrap();
    lb.publish_metrics();

    let mut series = Series::default();
    series.look(&snapshotter);
    let attempts = |outcome| {
        series.samples(&format!("loadbalance_attempt_duration_seconds{{outcome={outcome},service=cart}}"))
    };
    assert_eq!((attempts("ok").len(), attempts("service").len(), attempts("rejected").len()), (1000, 5, 1));
    assert!(attempts("ok").iter().all(|seconds| (0.019..0.022).contains(seconds)));
    assert_eq!(series.value("loadbalance_retries_total{service=cart,why=failover}"), 5.0);
    assert_eq!(series.value("loadbalance_ejections_total{reason=consecutive_failures,service=cart}"), 1.0);
    assert_eq!(series.value("loadbalance_call_errors_total{error=rejected,service=cart}"), 1.0);
    let instances = |state| series.value(&format!("loadbalance_instances{{service=cart,state={state}}}"));
    assert_eq!((instances("healthy"), instances("ejected"), instances("probing")), (2.0, 1.0, 0.0));
    assert_eq!(series.value("loadbalance_in_flight{service=cart}"), 1.0);
    assert_eq!(series.value("loadbalance_panic{service=cart}"), 0.0);
    assert_eq!(series.value("loadbalance_registry_stale{service=cart}"), 0.0);

    drop(held);
    drop(lb);
    // The task that follows the registry ends.
    sleep(SECOND).await;
    series.look(&snapshotter);
    for gauge in ["in_flight", "retry_tokens", "waiting_calls"] {
        assert_eq!(series.value(&format!("loadbalance_{gauge}{{service=cart}}")), 0.0, "{gauge}");
    }
    assert_eq!(series.value("loadbalance_instances{service=cart,state=healthy}"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn gauges_follow_by_themselves_and_balancers_add_up() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _here = metrics::set_default_local_recorder(&recorder);
    let (one, two) = (balancer(&["a"]).await, balancer(&["a", "b"]).await);
    let mut held = Vec::new();
    for lb in [&one, &two, &two] {
        held.push(lb.pick("cart", &CallOptions::new()).await.unwrap());
    }
    sleep(6 * SECOND).await;
    let mut series = Series::default();
    series.look(&snapshotter);
    assert_eq!(series.value("loadbalance_in_flight{service=cart}"), 3.0);
    assert_eq!(series.value("loadbalance_instances{service=cart,state=healthy}"), 3.0);
    held.clear();
    drop(one);
    sleep(6 * SECOND).await;
    series.look(&snapshotter);
    assert_eq!(series.value("loadbalance_in_flight{service=cart}"), 0.0);
    assert_eq!(series.value("loadbalance_instances{service=cart,state=healthy}"), 2.0);
    let cancelled = series.samples("loadbalance_attempt_duration_seconds{outcome=cancelled,service=cart}");
    assert_eq!(cancelled.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_measured() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _here = metrics::set_default_local_recorder(&recorder);
    let lb = balancer(&["a"]).await;
    let mut first = true;
    lb.execute("cart", |_| {
        let limited = std::mem::take(&mut first);
        async move {
            if limited {
                Err(RequestError::limit_exceeded("429").with_retry_after(20 * SECOND))
            } else {
                Ok(())
            }
        }
    })
    .await
    .unwrap();
    let mut series = Series::default();
    series.look(&snapshotter);
    let waits = series.samples("loadbalance_wait_duration_seconds{service=cart}");
    // The backoff came first; the line is for the rest of the 20 s.
    assert_eq!(waits.len(), 1);
    assert!((17.0..20.0).contains(&waits[0]), "{waits:?}");
    assert_eq!(series.value("loadbalance_retries_total{service=cart,why=retry}"), 1.0);
}

/// A gateway passes on what its users type: made-up names make no time series, nor do instances.
#[tokio::test(start_paused = true)]
async fn the_number_of_series_is_bounded() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _here = metrics::set_default_local_recorder(&recorder);
    let registry = MemoryRegistry::new();
    for n in 0..500 {
        registry.register("cart", Instance::new(format!("cart-{n}"))).await.unwrap();
    }
    let lb = LoadBalancer::new(registry);
    for n in 0..500 {
        lb.execute("cart", async |_| Ok::<_, RequestError>(())).await.unwrap();
        let unknown = format!("typed-{n}");
        lb.execute(&unknown, async |_| Ok::<_, RequestError>(())).await.unwrap_err();
    }
    lb.publish_metrics();
    let mut series = Series::default();
    series.look(&snapshotter);
    assert_eq!(series.value("loadbalance_call_errors_total{error=no_available_instance,service=}"), 500.0);
    let known = series.0.keys().filter(|key| !key.contains("service=cart") && !key.contains("service=}"));
    // A pool that turned out to be of nobody looks its histograms up, too.
    assert!(known.clone().count() == 0, "{:?}", known.take(3).collect::<Vec<_>>());
    assert!(series.0.len() < 40, "{}", series.0.len());
}

/// Operators read one table, programmers the other.
#[test]
fn the_documents_name_the_same_metrics() {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let rows = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("| `loadbalance_")).map(str::to_owned).collect()
    };
    let (operators, programmers) =
        (rows(&read("docs/operations.md")), rows(&read("lb-core/src/meters/table.md")));
    assert_eq!(operators, programmers);
    assert_eq!(operators.len(), 13);
}
