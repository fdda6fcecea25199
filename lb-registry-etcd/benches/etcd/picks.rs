//! Whether calls suffer while the registry changes. By the processor time of the calling thread, so that it does not matter
//! what else the machine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lb_core::{Instance, LoadBalancer, RequestError, ServiceRegistry};
use lb_registry_etcd::EtcdRegistry;

use crate::{Registry, row};

const PERIOD: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;

pub(crate) async fn measure(url: &str) {
    let registry: Registry = EtcdRegistry::builder([url]).prefix("picks").connect().await.unwrap();
    for n in 0..1_000 {
        registry.register("bench", Instance::new(format!("{n}"))).await.unwrap();
    }
    let lb = LoadBalancer::new(registry.clone());
    let (calls, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let spent = Arc::new(AtomicU64::new(0));
    // A thread of its own, as a server's worker is.
    let caller = std::thread::spawn({
        let (lb, calls, end, spent) = (lb.clone(), Arc::clone(&calls), Arc::clone(&end), Arc::clone(&spent));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                while !end.load(Ordering::Relaxed) {
                    for _ in 0..100 {
                        lb.execute("bench", async |_| Ok::<_, RequestError>(())).await.unwrap();
                    }
                    calls.fetch_add(100, Ordering::Relaxed);
                    if calls.load(Ordering::Relaxed).is_multiple_of(10_000) {
                        spent.store(processor_time(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let rate = async || {
        let before = (calls.load(Ordering::Relaxed), spent.load(Ordering::Relaxed));
        tokio::time::sleep(PERIOD).await;
        let after = (calls.load(Ordering::Relaxed), spent.load(Ordering::Relaxed));
        (after.0 - before.0) as f64 / ((after.1 - before.1) as f64 / 1e9)
    };
    let watch = registry.watch("bench").await.unwrap();
    let (mut quiet, mut busy, mut arrived) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(rate().await);
        let writer = crate::process::Other::start("write", "picks", &[url.to_owned()]);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = watch.current().revision.get();
        busy.push(rate().await);
        arrived.push((watch.current().revision.get() - before) as f64 / PERIOD.as_secs_f64());
        drop(writer);
    }
    end.store(true, Ordering::Relaxed);
    caller.join().unwrap();
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
    row("calls per second of processor time, 1,000 instances, quiet", format!("{:.2} M", mean(&quiet) / 1e6));
    let what = format!("the same, {:.0} changes per second arriving", mean(&arrived));
    row(&what, format!("{:.2} M", mean(&busy) / 1e6));
    row("ratio", format!("{:.2}", mean(&busy) / mean(&quiet)));
}

/// Nanoseconds that this thread has had a processor.
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}
