//! The contract of [`ServiceRegistry`], as a test: [`RegistryContract`].

mod announcements;
mod bench;
mod compare_and_set;
mod concurrency;
mod config;
mod instances;
mod leaving;
mod listing;
mod names;
mod observer;
mod overrides;
mod round_trip;
mod rules;
mod samples;
mod sharing;
mod takeover;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use self::bench::Bench;
use self::rules::Rule;
use crate::instance::Instance;
use crate::registry::ServiceRegistry;

/// Checks a registry against the contract of [`ServiceRegistry`], with the bounds of [`RegistryContract::new`].
///
/// `make` is called once per rule and must give an empty registry each time, for example one with a fresh prefix in
/// a shared store.
///
/// ```no_run
/// # use lb_core::{Instance, ServiceRegistry};
/// # async fn empty_registry() -> Box<dyn ServiceRegistry<Instance>> { unimplemented!() }
/// #[tokio::test]
/// async fn keeps_the_contract() {
///     lb_core::testing::registry_contract(empty_registry).await;
/// }
/// ```
///
/// # Panics
///
/// As [`RegistryContract::check`].
pub async fn registry_contract<R, F, Fut>(make: F)
where
    R: ServiceRegistry<Instance>,
    F: FnMut() -> Fut,
    Fut: Future<Output = R>,
{
    RegistryContract::new().check(make).await;
}

/// The contract of [`ServiceRegistry`], as a test that every registry can run.
///
/// It never assumes that a write is visible at once: it waits for it at a watch, at most for [`settle`](Self::settle).
/// What must *not* happen is watched for [`quiet`](Self::quiet). A registry in the process is checked under paused
/// time (`start_paused = true`), where neither costs anything; one that talks to a store needs real time, and finds
/// more races on a multi-threaded runtime.
///
/// ```no_run
/// use std::time::Duration;
/// use lb_core::testing::RegistryContract;
/// # use lb_core::{Instance, ServiceRegistry};
/// # async fn empty_registry() -> Box<dyn ServiceRegistry<Instance>> { unimplemented!() }
///
/// #[tokio::test(flavor = "multi_thread")]
/// async fn keeps_the_contract() {
///     RegistryContract::new().settle(Duration::from_secs(30)).check(empty_registry).await;
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistryContract {
    settle: Duration,
    quiet: Duration,
    only: Option<String>,
}

impl Default for RegistryContract {
    fn default() -> Self {
        Self::new()
    }
}

impl RegistryContract {
    /// Waits at most 10 s for what must happen, and 200 ms for what must not.
    pub const fn new() -> Self {
        Self { settle: Duration::from_secs(10), quiet: Duration::from_millis(200), only: None }
    }

    /// How long a write may take to be seen; it is waited for no longer than needed. Must exceed the time-to-live of
    /// announcements if that is what cleans them up.
    pub fn settle(mut self, bound: Duration) -> Self {
        self.settle = bound;
        self
    }

    /// How long to watch that something does not happen. Must exceed the time that a write usually takes to be seen,
    /// else a late mistake is missed. The grace of a leaving instance is five times as long.
    pub fn quiet(mut self, period: Duration) -> Self {
        self.quiet = period;
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

    /// Checks every rule, each with an empty registry of its own from `make`.
    ///
    /// # Panics
    ///
    /// If a rule is broken; the message names the rule and says what was seen. If there is no rule to check.
    pub async fn check<R, F, Fut>(&self, mut make: F)
    where
        R: ServiceRegistry<Instance>,
        F: FnMut() -> Fut,
        Fut: Future<Output = R>,
    {
        for rule in self.selected() {
            let registry: Arc<dyn ServiceRegistry<Instance>> = Arc::new(make().await);
            (rule.check)(Bench::new(registry, rule.name, self)).await;
        }
    }

    fn selected(&self) -> Vec<&'static Rule> {
        let part = self.only.as_deref().unwrap_or_default();
        let selected: Vec<_> = rules::ALL.iter().filter(|rule| rule.name.contains(part)).collect();
        assert!(!selected.is_empty(), "no rule of the contract contains {part:?} in its name");
        selected
    }
}
