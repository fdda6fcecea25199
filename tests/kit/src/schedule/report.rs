//! What a run says at its end: [`Report`] or [`Failure`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ledger::{Rule, Violation};
use super::settings::{LENGTH_VARIABLE, SEED_VARIABLE, Settings};

/// How one kind of fault went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultReport {
    /// How often it happened.
    pub times: usize,
    /// The longest time from its end until everything was as it must be.
    pub settled: Duration,
    /// The longest time that a live instance was missing.
    pub missing: Duration,
}

/// A run in which every rule held.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// By the fault's name.
    pub faults: BTreeMap<&'static str, FaultReport>,
    /// The calls that were made, all of them served at once.
    pub calls: u64,
    /// The snapshots that were seen.
    pub snapshots: u64,
}

/// A run in which a rule did not hold, or a fault could not be made to happen.
pub struct Failure {
    /// The rules, in the order in which they were broken.
    pub violations: Vec<Violation>,
    /// What kept the run from going on, if something did.
    pub stopped: Option<crate::Error>,
    /// The run.
    pub settings: Settings,
}

impl Failure {
    /// The rules that were broken, each once.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<_> = self.violations.iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} calls, {} snapshots; the longest times after a fault, in seconds:",
            self.calls, self.snapshots
        )?;
        writeln!(f, "  {:<26} {:>5} {:>8} {:>8}", "fault", "times", "settled", "missing")?;
        for (name, FaultReport { times, settled, missing }) in &self.faults {
            let (settled, missing) = (settled.as_secs_f64(), missing.as_secs_f64());
            writeln!(f, "  {name:<26} {times:>5} {settled:>8.2} {missing:>8.2}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { seed, length } = self.settings;
        writeln!(
            f,
            "rules were broken; again: {SEED_VARIABLE}={seed} {LENGTH_VARIABLE}={}",
            length.as_secs()
        )?;
        self.violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))?;
        self.stopped.iter().try_for_each(|error| writeln!(f, "  the run could not go on: {error}"))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
