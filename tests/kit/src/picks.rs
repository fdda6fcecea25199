//! What calls cost while a registry changes: [`while_changing`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lb_core::registry::SnapshotWatch;
use lb_core::{Instance, LoadBalancer, RequestError};

/// Rounds of quiet and of change, in turn.
const ROUNDS: usize = 3;
/// Calls between two looks at the clock.
const CALLS: u64 = 10_000;

/// What [`while_changing`] has found; means of three rounds.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Calls per second of processor time while nothing changes.
    pub quiet: f64,
    /// The same while changes arrive.
    pub busy: f64,
    /// Snapshots per second that have been published; changes that arrive together share one.
    pub changes: f64,
}

/// Calls a service from a thread of its own, as fast as it can, while nothing changes and while a writer is at work,
/// for `period` each, three times. By the processor time of that thread, so that it does not matter what else the
/// machine does. A writer works from when it is made until it is dropped.
///
/// # Panics
///
/// A call fails.
pub async fn while_changing<W>(
    lb: LoadBalancer<Instance>,
    service: &'static str,
    mut watch: SnapshotWatch<Instance>,
    period: Duration,
    writer: impl Fn() -> W,
) -> Rates {
    let (calls, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let spent = Arc::new(AtomicU64::new(0));
    // As a server's worker is.
    let caller = std::thread::spawn({
        let (calls, end, spent) = (Arc::clone(&calls), Arc::clone(&end), Arc::clone(&spent));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                while !end.load(Ordering::Relaxed) {
                    for _ in 0..CALLS {
                        lb.execute(service, async |_| Ok::<_, RequestError>(())).await.unwrap();
                    }
                    calls.fetch_add(CALLS, Ordering::Relaxed);
                    spent.store(processor_time(), Ordering::Relaxed);
                }
            });
        }
    });
    let rate = async || {
        let look = || (calls.load(Ordering::Relaxed), spent.load(Ordering::Relaxed));
        let before = look();
        tokio::time::sleep(period).await;
        let after = look();
        (after.0 - before.0) as f64 / ((after.1 - before.1) as f64 / 1e9)
    };
    let (mut quiet, mut busy, mut changes) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        quiet += rate().await / ROUNDS as f64;
        let writing = writer();
        tokio::time::sleep(period / 4).await;
        let mut arrived = 0_u32;
        let counting = async {
            while watch.changed().await.is_ok() {
                arrived += 1;
            }
            std::future::pending::<()>().await;
        };
        busy += tokio::select! { rate = rate() => rate, () = counting => 0.0 } / ROUNDS as f64;
        changes += f64::from(arrived) / period.as_secs_f64() / ROUNDS as f64;
        drop(writing);
    }
    end.store(true, Ordering::Relaxed);
    caller.join().unwrap();
    Rates { quiet, busy, changes }
}

/// Nanoseconds that this thread has had a processor.
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0)
}
