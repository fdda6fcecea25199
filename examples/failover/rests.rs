//! How long the balancer left each vendor alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::ways::{Balanced, SERVICE};

/// How often it looks; so exact the times are.
const EVERY: Duration = Duration::from_millis(20);

/// Looks at the balancer's statistics while it lives.
#[derive(Debug)]
pub(crate) struct Rests {
    times: Arc<Mutex<BTreeMap<Arc<str>, Duration>>>,
    watcher: AbortHandle,
}

impl Rests {
    pub(crate) fn watch(balanced: &Balanced) -> Self {
        let times = Arc::new(Mutex::new(BTreeMap::new()));
        let (balancer, seen) = (balanced.balancer.clone(), Arc::clone(&times));
        let watcher = tokio::spawn(async move {
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = Instant::now();
            loop {
                let now = tick.tick().await;
                let passed = now - last;
                last = now;
                let instances = balancer.stats(SERVICE).map(|stats| stats.instances).unwrap_or_default();
                let resting = instances.into_iter().filter(|instance| instance.resting_for.is_some());
                let mut times = seen.lock().unwrap_or_else(PoisonError::into_inner);
                resting.for_each(|instance| *times.entry(instance.id).or_default() += passed);
            }
        });
        Self { times, watcher: watcher.abort_handle() }
    }

    pub(crate) fn times(self) -> BTreeMap<Arc<str>, Duration> {
        std::mem::take(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Rests {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}
