//! The task that probes: the thin shell around [`Prober`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lb_core::strategy::Background;
use lb_core::{CheckFailed, Clock, SeededRandom};
use tokio::task::{JoinHandle, JoinSet};

use super::probe::{Probe, ProbeReport, ProbeTarget};
use super::prober::{Ask, Prober};

/// Probes that run at the same time, per service.
const AT_ONCE: usize = 64;
/// How often it looks for new picks: so often while there are some, less and less often while there are none.
const LOOK: Duration = Duration::from_millis(5);
const LAZY_LOOK: Duration = Duration::from_millis(100);

impl<I: Send + Sync + 'static> Background for Prober<I> {
    fn run(self: Arc<Self>, clock: Arc<dyn Clock>, seed: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let random = SeededRandom::new(seed);
            let mut running = JoinSet::new();
            let (mut picks, mut look) = (0, LOOK);
            loop {
                for ask in self.ask(AT_ONCE - running.len(), clock.now(), &random) {
                    self.counts.sent.fetch_add(1, Ordering::Relaxed);
                    running.spawn(one(Arc::clone(&self.probe), ask, self.probing().max_age));
                }
                let before = std::mem::replace(&mut picks, self.picks());
                look = if before == picks { (2 * look).min(LAZY_LOOK) } else { LOOK };
                // In order, not by chance, so that a simulator's runs repeat themselves.
                tokio::select! {
                    biased;
                    Some(ended) = running.join_next() => {
                        if let Ok((ask, result)) = ended {
                            self.ended(&ask, result, &*clock, &random);
                        }
                    }
                    () = tokio::time::sleep(look) => {}
                }
            }
        })
    }
}

impl<I> Prober<I> {
    fn ended(
        &self,
        ask: &Ask<I>,
        result: Result<ProbeReport, CheckFailed>,
        clock: &dyn Clock,
        random: &SeededRandom,
    ) {
        match result {
            Ok(report) => {
                self.counts.answered.fetch_add(1, Ordering::Relaxed);
                self.answered(ask, report, clock.now(), random);
            }
            Err(reason) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let (service, instance) = (ask.member.service(), ask.member.id());
                tracing::debug!(%service, %instance, %reason, "probe failed");
            }
        }
    }
}

/// One probe. Its own task: what a probe does, even a panic, is no concern of the others.
async fn one<I: Send + Sync + 'static>(
    probe: Arc<dyn Probe<I>>,
    ask: Ask<I>,
    timeout: Duration,
) -> (Ask<I>, Result<ProbeReport, CheckFailed>) {
    let target = ProbeTarget::new(Arc::clone(&ask.member));
    let mut task = AbortOnDrop(tokio::spawn(async move { probe.probe(target).await }));
    let result = match tokio::time::timeout(timeout, &mut task.0).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(CheckFailed::new("the probe panicked")),
        Err(_) => Err(CheckFailed::new(format!("no answer within {timeout:?}"))),
    };
    (ask, result)
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
