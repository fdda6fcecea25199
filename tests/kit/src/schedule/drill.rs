//! Puts a registry through a schedule of faults: [`Drill`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_core::registry::SnapshotWatch;
use lb_core::{Instance, ServiceRegistry};
use tokio::time::{Instant, sleep};

use super::backend::{Backend, Fault};
use super::fleet::Fleet;
use super::hot_path::HotPath;
use super::ledger::{Bounds, Ledger, Rule};
use super::plan::{Schedule, Step};
use super::report::{Failure, FaultReport, Report};
use super::settings::Settings;
use crate::error::{Error, Result};

/// The service that a drill is about.
pub const SERVICE: &str = "drill";

/// How often the snapshot is looked at besides its changes, and compared with the listing after healing.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// The ledger, as the tasks of a drill share it.
#[derive(Clone, Debug)]
pub(super) struct SharedLedger(pub(super) Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registry under test, and those that write what it sees.
pub struct Drill {
    observer: Arc<dyn ServiceRegistry<Instance>>,
    writers: Vec<Arc<dyn ServiceRegistry<Instance>>>,
    bounds: Bounds,
}

impl Drill {
    /// `observer` is watched and called through; `writers`, of which there is at least one, announce and register, as
    /// other processes would. They may reach the store by another way, so that changes are made which the observer
    /// cannot see at once.
    ///
    /// # Panics
    ///
    /// There is no writer.
    pub fn new(
        observer: Arc<dyn ServiceRegistry<Instance>>,
        writers: Vec<Arc<dyn ServiceRegistry<Instance>>>,
    ) -> Self {
        assert!(!writers.is_empty(), "somebody must write");
        Self { observer, writers, bounds: Bounds::default() }
    }

    /// With other bounds.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Runs the schedule of `settings`, and prints what happens.
    ///
    /// # Errors
    ///
    /// A rule did not hold in a step; the run ends after that step. Or a fault could not be made or healed.
    pub async fn run(&self, backend: &dyn Backend, settings: Settings) -> Result<Report, Failure> {
        let ledger = SharedLedger::new(Ledger::new(self.bounds, Instant::now()));
        println!("schedule of seed {} for {:.0?}", settings.seed, settings.length);
        let faults = self.steps(backend, settings, &ledger).await;
        let ledger = ledger.lock();
        match faults {
            Ok(faults) if ledger.violations().is_empty() => {
                let report = Report { faults, calls: ledger.calls, snapshots: ledger.snapshots };
                println!("{report}");
                Ok(report)
            }
            faults => {
                Err(Failure { violations: ledger.violations().to_vec(), stopped: faults.err(), settings })
            }
        }
    }

    async fn steps(
        &self,
        backend: &dyn Backend,
        settings: Settings,
        ledger: &SharedLedger,
    ) -> Result<BTreeMap<&'static str, FaultReport>> {
        let mut fleet = Fleet::assemble(self.writers.clone(), ledger.clone()).await?;
        let watch = self.observer.watch(SERVICE).await.map_err(|error| Error::new(error.to_string()))?;
        self.settled(backend, &watch, ledger, self.bounds.settled)
            .await
            .map_err(|(_, what)| Error::new(format!("not in order before the first fault: {what}")))?;
        let _hot_path = HotPath::on(Arc::clone(&self.observer), ledger.clone(), self.bounds).await?;

        let started = Instant::now();
        let mut reports: BTreeMap<_, FaultReport> = BTreeMap::new();
        for step in Schedule::new(settings.seed, &backend.faults()) {
            if started.elapsed() >= settings.length {
                break;
            }
            ledger.lock().begins(step.to_string());
            let begun = Instant::now();
            let missed = happens(&step, backend, &mut fleet).await?;
            ledger.lock().healed(Instant::now());
            let bound = [Some(&step.fault), step.within.as_ref().map(|(fault, _)| fault)]
                .into_iter()
                .flatten()
                .filter_map(Fault::settles)
                .fold(self.bounds.settled, Duration::max);
            let settled = self.settled(backend, &watch, ledger, bound).await;
            let report = reports.entry(step.fault.name()).or_default();
            let verdict = match settled {
                Ok(took) => {
                    report.settled = report.settled.max(took);
                    format!("settled in {:.2} s", took.as_secs_f64())
                }
                Err((rule, what)) => {
                    let what = format!("not within {bound:.0?}: {what}");
                    ledger.lock().violated(rule, what.clone(), Instant::now());
                    what
                }
            };
            let ledger = ledger.lock();
            report.times += 1;
            report.missing = report.missing.max(ledger.longest_missing());
            println!(
                "{:>6.1} s  {step}{missed}: {verdict}; missing {:.2} s; {} calls",
                begun.duration_since(started).as_secs_f64(),
                ledger.longest_missing().as_secs_f64(),
                ledger.calls
            );
            if !ledger.violations().is_empty() {
                break;
            }
        }
        Ok(reports)
    }

    /// Waits until the snapshot is what the server lists and everybody is there. Returns how long that took, or what
    /// was still wrong after `bound`.
    async fn settled(
        &self,
        backend: &dyn Backend,
        watch: &SnapshotWatch<Instance>,
        ledger: &SharedLedger,
        bound: Duration,
    ) -> Result<Duration, (Rule, String)> {
        let started = Instant::now();
        loop {
            let asked = started.elapsed();
            let wrong = match backend.listing(SERVICE).await {
                Ok(listing) => ledger.lock().unsettled(&watch.current(), &listing),
                Err(error) => Some((Rule::Converged, format!("no listing: {error}"))),
            };
            match wrong {
                None => return Ok(started.elapsed()),
                Some(wrong) if asked >= bound => return Err(wrong),
                Some(_) => sleep(LOOK).await,
            }
        }
    }
}

impl std::fmt::Debug for Drill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drill")
            .field("writers", &self.writers.len())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// The fault, what happens within it, and its end. Returns what did not happen, in words.
async fn happens(step: &Step, backend: &dyn Backend, fleet: &mut Fleet) -> Result<String> {
    let fault = &step.fault;
    backend.inject(fault, step.choice).await.map_err(|error| error.during(format!("`{}`", fault.name())))?;
    let begun = Instant::now();
    let pause = step.holds / (step.changes.len() as u32 + 2);
    let mut missed = String::new();
    sleep(pause).await;
    let mut injected = vec![fault];
    if let Some((within, choice)) = &step.within {
        // It may need a server that the fault has taken away.
        match backend.inject(within, *choice).await {
            Ok(()) => injected.push(within),
            Err(_) => missed.push_str(", which could not be"),
        }
    }
    let mut failed = 0;
    for &change in &step.changes {
        sleep(pause).await;
        failed += usize::from(!fleet.change(change).await);
    }
    sleep(step.holds.saturating_sub(begun.elapsed())).await;
    if failed > 0 {
        // Writing to a `String` does not fail.
        let _ = write!(missed, ", of which {failed} were refused");
    }
    for fault in injected {
        backend.heal(fault).await.map_err(|error| error.during(format!("healing `{}`", fault.name())))?;
    }
    Ok(missed)
}
