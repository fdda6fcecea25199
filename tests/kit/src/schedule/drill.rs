//! Puts a registry through a schedule of faults: [`Drill`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_core::registry::SnapshotWatch;
use lb_core::{Instance, LoadBalancer, ServiceRegistry};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::backend::{Backend, Fault};
use super::caller;
use super::fleet::Fleet;
use super::ledger::{Bounds, Ledger, Rule};
use super::plan::{Schedule, Step};
use super::report::{Failure, FaultReport, Report};
use super::settings::Settings;
use crate::error::{Error, Result};

/// The service that a drill is about.
pub const SERVICE: &str = "drill";

/// How often the snapshot is looked at besides its changes, and compared with the listing after healing.
const LOOK: Duration = Duration::from_millis(50);

/// The ledger, as the tasks of a drill share it.
#[derive(Clone)]
pub(super) struct SharedLedger(Arc<Mutex<Ledger>>);

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
        let ledger = SharedLedger(Arc::new(Mutex::new(Ledger::new(self.bounds, Instant::now()))));
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
        let _tasks = self.tasks(ledger).await?;

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

    /// The calls, the look-ups and the eyes on the snapshot. They end when this is dropped.
    async fn tasks(&self, ledger: &SharedLedger) -> Result<JoinSet<()>> {
        let balancer = LoadBalancer::new(Arc::clone(&self.observer));
        // The first call finds the service; from then on none may wait.
        let first = balancer.execute(SERVICE, |_picked| async { Ok::<_, lb_core::RequestError>(()) }).await;
        first.map_err(|error| Error::new(format!("the first call: {error}")))?;
        let watch = self.observer.watch(SERVICE).await.map_err(|error| Error::new(error.to_string()))?;
        let mut tasks = JoinSet::new();
        let (shared, observer, bound) = (ledger.clone(), Arc::clone(&self.observer), self.bounds.look_up);
        tasks.spawn(async move { match caller::call(balancer, shared).await {} });
        let shared = ledger.clone();
        tasks.spawn(async move { match caller::look_up(observer, bound, shared).await {} });
        tasks.spawn(observe(watch, ledger.clone()));
        Ok(tasks)
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
                // The listing is as old as its question.
                None => return Ok(asked),
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

/// Looks at every snapshot that it is given, and now and then in between.
async fn observe(mut watch: SnapshotWatch<Instance>, ledger: SharedLedger) {
    loop {
        tokio::select! {
            changed = watch.changed() => match changed {
                Ok(_) => ledger.lock().snapshots += 1,
                Err(gone) => {
                    ledger.lock().violated(Rule::Converged, gone.to_string(), Instant::now());
                    return;
                }
            },
            () = sleep(LOOK) => {}
        }
        ledger.lock().observe(&watch.current(), Instant::now());
    }
}
