//! Whether what is known can be called live: [`Health`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lb_core::Time;

/// What must be so for the registry to be live.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// Commands are answered.
    Commands,
    /// Changes are heard.
    Subscription,
    /// A service is known.
    Service(Arc<str>),
}

/// Keeps since when something has been missing. Pure.
#[derive(Debug)]
pub(super) struct Health {
    missing: HashMap<Need, Time>,
    patience: Duration,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Live,
    /// Something is missing, but not for long: say nothing yet.
    Wait(Time),
    Stale,
}

impl Health {
    /// Nothing is known at the start.
    pub(super) fn new(patience: Duration, now: Time) -> Self {
        Self { missing: HashMap::from([(Need::Commands, now)]), patience }
    }

    pub(super) fn missing(&mut self, need: Need, now: Time) {
        self.missing.entry(need).or_insert(now);
    }

    pub(super) fn met(&mut self, need: &Need) {
        self.missing.remove(need);
    }

    pub(super) fn verdict(&self, now: Time) -> Verdict {
        match self.missing.values().min() {
            None => Verdict::Live,
            Some(&since) if since + self.patience <= now => Verdict::Stale,
            Some(&since) => Verdict::Wait(since + self.patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hiccup_is_not_told() {
        let second = Duration::from_secs(1);
        let at = |n: u32| Time::ORIGIN + second * n;
        let mut health = Health::new(2 * second, at(1));
        assert_eq!(health.verdict(at(2)), Verdict::Wait(at(3)));
        health.met(&Need::Commands);
        assert_eq!(health.verdict(at(9)), Verdict::Live);
        health.missing(Need::Subscription, at(10));
        health.missing(Need::Service("s".into()), at(11));
        health.missing(Need::Subscription, at(11));
        assert_eq!(health.verdict(at(12)), Verdict::Stale, "since the first time");
        health.met(&Need::Subscription);
        assert_eq!(health.verdict(at(12)), Verdict::Wait(at(13)));
    }
}
