//! Whether a session to a Cluster leads where nobody serves: [`Unserved`].

use std::collections::HashMap;
use std::time::Duration;

use redis::cluster_routing::Slot;
use tokio::time::Instant;

/// A slot that is not served for so long is looked for over another session. Where a node answers that its Cluster is
/// down, the client library waits, and looks for no other one: not even when the others have gone on without that node.
const PATIENCE: Duration = Duration::from_secs(30);
/// Each session in vain, and the next one gets twice as long, up to this: it may be the Cluster after all.
const LONGEST: Duration = Duration::from_secs(600);

/// The slots for which nothing but "not now" was heard: over which session, and since when. Pure.
#[derive(Debug)]
pub(super) struct Unserved {
    since: HashMap<Slot, (u64, Instant)>,
    patience: Duration,
}

impl Default for Unserved {
    fn default() -> Self {
        Self { since: HashMap::new(), patience: PATIENCE }
    }
}

impl Unserved {
    /// Something was done in the slot of a request that has one.
    pub(super) fn served(&mut self, slot: impl FnOnce() -> Option<Slot>) {
        if !self.since.is_empty() && slot().is_some_and(|slot| self.since.remove(&slot).is_some()) {
            self.patience = PATIENCE;
        }
    }

    /// A slot was not served over the session of this number. Whether that session is to be replaced.
    pub(super) fn refused(&mut self, slot: Slot, session: u64, now: Instant) -> bool {
        let (over, since) = self.since.entry(slot).or_insert((session, now));
        if *over < session {
            (*over, *since) = (session, now);
        }
        let replace = *over == session && now.duration_since(*since) >= self.patience;
        if replace {
            // Said once, and the rest is said of the next one.
            *over += 1;
            *since = now;
            self.patience = LONGEST.min(self.patience * 2);
        }
        replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn slot(n: u16) -> Slot {
        Slot::new(n).unwrap()
    }

    #[test]
    fn a_session_is_replaced_when_a_slot_is_not_served_for_long() {
        let start = Instant::now();
        let mut unserved = Unserved::default();
        assert!(!unserved.refused(slot(1), 1, start));
        assert!(!unserved.refused(slot(2), 1, start + 29 * SECOND));
        unserved.served(|| Some(slot(2)));
        unserved.served(|| None);
        assert!(unserved.refused(slot(1), 1, start + 30 * SECOND), "others are served");
    }

    #[test]
    fn a_slot_that_is_served_now_and_then_is_waited_for() {
        let start = Instant::now();
        let mut unserved = Unserved::default();
        for n in 0..9 {
            assert!(!unserved.refused(slot(1), 1, start + 20 * n * SECOND));
            assert!(!unserved.refused(slot(1), 1, start + (20 * n + 15) * SECOND));
            unserved.served(|| Some(slot(1)));
        }
    }

    #[test]
    fn another_session_gets_its_own_time_and_each_in_vain_more() {
        let start = Instant::now();
        let mut unserved = Unserved::default();
        assert!(!unserved.refused(slot(1), 1, start));
        assert!(!unserved.refused(slot(1), 2, start + 30 * SECOND), "this one has just begun");
        assert!(!unserved.refused(slot(1), 1, start + 60 * SECOND), "that one is gone");
        assert!(unserved.refused(slot(1), 2, start + 60 * SECOND));
        assert!(!unserved.refused(slot(1), 2, start + 120 * SECOND), "said already");
        assert!(!unserved.refused(slot(1), 3, start + 119 * SECOND));
        assert!(unserved.refused(slot(1), 3, start + 120 * SECOND), "twice as long");
        let mut at = start + 120 * SECOND;
        for (session, wait) in (4..).zip([120, 240, 480, 600, 600]) {
            assert!(!unserved.refused(slot(1), session, at));
            at += wait * SECOND;
            assert!(!unserved.refused(slot(1), session, at - SECOND));
            assert!(unserved.refused(slot(1), session, at), "{wait} s");
        }
        unserved.served(|| Some(slot(1)));
        assert!(!unserved.refused(slot(1), 9, at));
        assert!(unserved.refused(slot(1), 9, at + 30 * SECOND), "as at first");
    }
}
