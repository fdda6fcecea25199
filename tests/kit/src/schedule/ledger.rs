//! What must hold, and what did not: [`Rule`], [`Violation`] and the ledger that finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use lb_core::Instance;
use lb_core::registry::{Freshness, InstanceState, Revision, Snapshot};
use tokio::time::Instant;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// Every call is served.
    Served,
    /// No call of a service in use waits for anything.
    NoWaiting,
    /// A watch of a service that is watched already is given without waiting for the store.
    LookUp,
    /// The snapshot is never empty.
    NeverEmpty,
    /// The snapshot's revision never goes back.
    Monotonic,
    /// No instance that somebody stands behind is missing from the snapshot for longer than the bound, not counting
    /// the time in which a fault was in force.
    Present,
    /// After healing, every such instance is in the store within the bound.
    Registered,
    /// After healing, the snapshot is what the server lists within the bound: live, and nobody is suspect.
    Converged,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// How it was broken.
    pub what: String,
    /// When, since the start.
    pub at: Duration,
    /// The step that it belongs to.
    pub step: String,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// For [`Rule::Converged`] and [`Rule::Registered`], from the end of the fault.
    pub settled: Duration,
    /// For [`Rule::Present`].
    pub missing: Duration,
    /// For [`Rule::LookUp`].
    pub look_up: Duration,
}

impl Default for Bounds {
    /// For a registry with a time to live of five seconds, on a machine that has other things to do.
    fn default() -> Self {
        Self {
            settled: Duration::from_secs(15),
            missing: Duration::from_secs(8),
            look_up: Duration::from_millis(500),
        }
    }
}

/// Keeps account of what is seen. Knows the time only from its arguments.
#[derive(Debug)]
pub(super) struct Ledger {
    started: Instant,
    bounds: Bounds,
    step: String,
    /// Since when no fault is in force.
    calm: Option<Instant>,
    /// Those somebody stands behind.
    live: BTreeSet<String>,
    missing: BTreeMap<String, Instant>,
    longest_missing: Duration,
    revision: Revision,
    violations: Vec<Violation>,
    pub(super) calls: u64,
    pub(super) snapshots: u64,
}

impl Ledger {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            started: now,
            bounds,
            step: "before the first fault".to_owned(),
            calm: Some(now),
            live: BTreeSet::new(),
            missing: BTreeMap::new(),
            longest_missing: Duration::ZERO,
            revision: Revision::NONE,
            violations: Vec::new(),
            calls: 0,
            snapshots: 0,
        }
    }

    pub(super) fn begins(&mut self, step: String) {
        self.step = step;
        self.calm = None;
        self.longest_missing = Duration::ZERO;
    }

    pub(super) fn healed(&mut self, now: Instant) {
        self.calm = Some(now);
    }

    pub(super) fn joined(&mut self, id: &str) {
        self.live.insert(id.to_owned());
    }

    pub(super) fn left(&mut self, id: &str) {
        self.live.remove(id);
        self.missing.remove(id);
    }

    /// The longest time that a live instance was missing in this step, counted as for [`Rule::Present`].
    pub(super) fn longest_missing(&self) -> Duration {
        self.longest_missing
    }

    pub(super) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Each rule is noted once per step: what is broken is broken at every look.
    pub(super) fn violated(&mut self, rule: Rule, what: String, now: Instant) {
        if !self.violations.iter().any(|violation| violation.rule == rule && violation.step == self.step) {
            let at = now.duration_since(self.started);
            self.violations.push(Violation { rule, what, at, step: self.step.clone() });
        }
    }

    /// Looks at the snapshot, whether it has changed or not.
    pub(super) fn observe(&mut self, snapshot: &Snapshot<Instance>, now: Instant) {
        if snapshot.revision < self.revision {
            let what = format!("revision {} after {}", snapshot.revision, self.revision);
            self.violated(Rule::Monotonic, what, now);
        }
        self.revision = self.revision.max(snapshot.revision);
        if snapshot.entries.is_empty() {
            self.violated(Rule::NeverEmpty, format!("an empty snapshot, {:?}", snapshot.freshness), now);
        }
        self.missing.retain(|id, _| snapshot.entries.get(id).is_none());
        for id in self.live.iter().filter(|id| snapshot.entries.get(id).is_none()) {
            self.missing.entry(id.clone()).or_insert(now);
        }
        // While a fault is in force, the time does not count.
        let Some(calm) = self.calm else { return };
        let longest =
            self.missing.iter().map(|(id, since)| (now.duration_since(calm.max(*since)), id.clone())).max();
        if let Some((missing, id)) = longest {
            self.longest_missing = self.longest_missing.max(missing);
            if missing > self.bounds.missing {
                self.violated(Rule::Present, format!("`{id}` is missing for {missing:.1?}"), now);
            }
        }
    }

    /// What keeps the snapshot and the server's listing from being as they must be after healing.
    pub(super) fn unsettled(
        &self,
        snapshot: &Snapshot<Instance>,
        listing: &BTreeMap<String, u32>,
    ) -> Option<(Rule, String)> {
        if let Some(id) = self.live.iter().find(|id| !listing.contains_key(*id)) {
            return Some((Rule::Registered, format!("the server does not list `{id}`, which is announced")));
        }
        if snapshot.freshness != Freshness::Live {
            return Some((Rule::Converged, format!("the snapshot is {:?}", snapshot.freshness)));
        }
        let state = |id: &str| snapshot.entries.get(id).map(|entry| entry.state);
        let suspects = snapshot
            .entries
            .iter()
            .filter(|entry| entry.state == InstanceState::Suspect)
            .map(|entry| entry.id());
        if let Some(id) = suspects.min() {
            let listed = if listing.contains_key(id) { "is listed" } else { "is not listed" };
            return Some((Rule::Converged, format!("`{id}` is suspect and {listed}")));
        }
        let seen: BTreeMap<String, u32> = snapshot
            .entries
            .iter()
            .map(|entry| (entry.id().to_owned(), lb_core::ServiceInstance::weight(&*entry.instance)))
            .collect();
        if seen == *listing {
            return None;
        }
        let differs = seen.keys().chain(listing.keys()).find(|id| seen.get(*id) != listing.get(*id))?;
        let what = format!(
            "`{differs}`: weight {:?} in the snapshot ({:?}), {:?} in the listing; {} and {} in all",
            seen.get(differs),
            state(differs),
            listing.get(differs),
            seen.len(),
            listing.len()
        );
        Some((Rule::Converged, what))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.1} s, in step {}: {}", self.rule, self.at.as_secs_f64(), self.step, self.what)
    }
}
