//! The contract of [`Strategy`], as a test: [`StrategyContract`].

mod bench;
mod changes;
mod completeness;
mod eligibility;
mod hooks;
mod lab;
mod rules;
mod shares;
mod starts;
mod statistics;
mod subsets;
mod threads;
mod weights;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use self::bench::StrategyBench;
use self::lab::Lab;
use self::rules::Rule;
use crate::instance::Instance;
use crate::strategy::Strategy;

/// Checks a strategy against the whole contract of [`Strategy`].
///
/// `make` is called many times and must give a new strategy each time.
///
/// ```
/// use lb_core::strategy::RoundRobin;
///
/// lb_core::testing::strategy_contract(RoundRobin::new);
/// ```
///
/// # Panics
///
/// As [`StrategyContract::check`].
pub fn strategy_contract<S: Strategy<Instance>>(make: impl Fn() -> S) {
    StrategyContract::new().check(make);
}

/// The contract of [`Strategy`], as a test that every strategy can run.
///
/// It drives real pools and asks their pickers directly, because a pool would help out a strategy that picks whom it
/// must not. Time stands still and chance is seeded, so a strategy passes always or never; only the rules with threads
/// depend on the machine, and they have no tolerance to exceed. Takes a few seconds in a debug build.
///
/// A strategy that by its nature does not do what a rule asks says so:
///
/// ```
/// use lb_core::strategy::RoundRobin;
/// use lb_core::testing::StrategyContract;
///
/// StrategyContract::new().weighted(false).check(|| RoundRobin::new().ignoring_weights());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StrategyContract {
    even: bool,
    weighted: bool,
    starts_anywhere: bool,
    only: Option<String>,
}

impl Default for StrategyContract {
    fn default() -> Self {
        Self::new()
    }
}

impl StrategyContract {
    /// The whole contract: even, weighted, and starting anywhere.
    pub const fn new() -> Self {
        Self { even: true, weighted: true, starts_anywhere: true, only: None }
    }

    /// Whether members of the same weight get the same share of requests that differ in nothing but their key.
    /// Default: yes. `false` for strategies that hash or that prefer some members: the rules about shares are left out.
    pub fn even(mut self, even: bool) -> Self {
        self.even = even;
        self
    }

    /// Whether shares follow the weights. Default: yes. `false`: an [even](Self::even) strategy is held to even shares
    /// whatever the weights.
    pub fn weighted(mut self, weighted: bool) -> Self {
        self.weighted = weighted;
        self
    }

    /// Whether the first pick may fall on anybody, so that many clients that start together do not begin with the same
    /// member. Default: yes.
    pub fn starts_anywhere(mut self, anywhere: bool) -> Self {
        self.starts_anywhere = anywhere;
        self
    }

    /// Checks only the rules whose names contain `part`: for finding out what breaks one.
    pub fn only(mut self, part: impl Into<String>) -> Self {
        self.only = Some(part.into());
        self
    }

    /// The names of the rules, in the order in which they are checked.
    pub fn rules() -> impl Iterator<Item = &'static str> {
        rules::ALL.iter().map(|rule| rule.name)
    }

    /// Checks every rule that the options leave in force.
    ///
    /// # Panics
    ///
    /// If a rule is broken; the message names the rule and says what was seen. If there is no rule to check.
    pub fn check<S: Strategy<Instance>>(&self, make: impl Fn() -> S) {
        let make = || Arc::new(make()) as Arc<dyn Strategy<Instance>>;
        let lab = Lab::new(&make);
        for rule in self.selected() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (rule.check)(&lab))) {
                panic!("strategy {} breaks the rule {}: {}", make().name(), rule.name, message(&*panic));
            }
        }
    }

    fn selected(&self) -> Vec<&'static Rule> {
        let part = self.only.as_deref().unwrap_or_default();
        let asked = rules::ALL.iter().filter(|rule| rule.kind.is_asked_of(self));
        let selected: Vec<_> = asked.filter(|rule| rule.name.contains(part)).collect();
        assert!(!selected.is_empty(), "no rule in force contains {part:?} in its name");
        selected
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
