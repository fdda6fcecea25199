//! Calls that go on while a test does something else: [`HotPath`].

use std::sync::{Arc, Mutex};

use lb_core::{Instance, LoadBalancer, ServiceRegistry};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::caller;
use super::drill::{LOOK, SERVICE, SharedLedger};
use super::ledger::{Bounds, Ledger, Rule};
use crate::error::{Error, Result};

/// Calls, look-ups and eyes on the snapshot of the service [`SERVICE`], for as long as this lives.
#[derive(Debug)]
pub struct HotPath {
    ledger: SharedLedger,
    _tasks: JoinSet<()>,
}

impl HotPath {
    /// Begins, after a first call that may wait.
    ///
    /// # Errors
    ///
    /// The first call fails: the service must have an instance by now.
    pub async fn start(registry: Arc<dyn ServiceRegistry<Instance>>, bounds: Bounds) -> Result<Self> {
        Self::on(registry, SharedLedger::new(Ledger::new(bounds, Instant::now())), bounds).await
    }

    pub(super) async fn on(
        registry: Arc<dyn ServiceRegistry<Instance>>,
        ledger: SharedLedger,
        bounds: Bounds,
    ) -> Result<Self> {
        let balancer = LoadBalancer::new(Arc::clone(&registry));
        // The first call finds the service; from then on none may wait.
        let first = balancer.execute(SERVICE, |_picked| async { Ok::<_, lb_core::RequestError>(()) }).await;
        first.map_err(|error| Error::new(format!("the first call: {error}")))?;
        let mut watch = registry.watch(SERVICE).await.map_err(|error| Error::new(error.to_string()))?;
        let mut tasks = JoinSet::new();
        let shared = ledger.clone();
        tasks.spawn(async move { match caller::call(balancer, shared).await {} });
        let shared = ledger.clone();
        tasks.spawn(async move { match caller::look_up(registry, bounds.look_up, shared).await {} });
        let shared = ledger.clone();
        tasks.spawn(async move {
            // Looks at every snapshot that it is given, and now and then in between.
            loop {
                tokio::select! {
                    changed = watch.changed() => match changed {
                        Ok(_) => shared.lock().snapshots += 1,
                        Err(gone) => {
                            shared.lock().violated(Rule::Converged, gone.to_string(), Instant::now());
                            return;
                        }
                    },
                    () = sleep(LOOK) => {}
                }
                shared.lock().observe(&watch.current(), Instant::now());
            }
        });
        Ok(Self { ledger, _tasks: tasks })
    }

    /// How many calls were made, if none failed or waited and the snapshot was never empty and never went back.
    ///
    /// # Errors
    ///
    /// What was broken.
    pub fn check(&self) -> Result<u64> {
        let ledger = self.ledger.lock();
        let broken: Vec<_> = ledger.violations().iter().map(ToString::to_string).collect();
        if broken.is_empty() { Ok(ledger.calls) } else { Err(Error::new(broken.join("\n"))) }
    }
}

impl SharedLedger {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }
}
