//! What to do next in following a range of keys: [`Machine`]. Pure; the shell does the steps and says what it saw.
//!
//! ```text
//!            ┌──────────── compacted, history lost ◀───────────┐
//!            ▼                                                 │
//! start ─▶ List ─▶ Open ─▶ Read ◀─▶ Probe (silent)             │
//!                   ▲       │                                  │
//!                   │       ▼ broken                           │
//!                   └──── Barrier on the next member ──────────┘
//! ```
//!
//! The list is read at one revision, the watch starts right after it. When a connection breaks, the watch is resumed
//! on the next member after a *barrier*: a linearizable read, which makes a member that lags catch up first. Whether this
//! is still the same history is told by its header, and by the last writes that were seen, which must stand in it
//! (`fence`). It waits only after all members failed in a row.

use std::time::Duration;

use lb_core::RandomSource;

use crate::client::EtcdErrorKind;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Lists that were overtaken by compaction, in a row, before waiting.
const LISTS_AT_ONCE: u32 = 3;

/// Where the history of a cluster stands, by the header of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) cluster: u64,
    pub(crate) term: u64,
    pub(crate) revision: i64,
}

/// What the shell has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read all keys at one revision. What is known is replaced.
    List,
    /// The same, while the watch stays open.
    Relist,
    /// A linearizable read.
    Barrier,
    /// Open a watch that starts at this revision, and wait until the server says that it is there.
    Open { from: i64 },
    /// Wait for the next message of the watch.
    Read,
    /// Ask the member for a sign of life, because the watch gives none.
    Probe,
    /// Get a new token.
    Authenticate,
    /// Do nothing for this long.
    Wait(Duration),
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All keys, as of `Head::revision`.
    Listed(Head),
    /// The barrier's answer. `diverged`: a write that was seen is not in this history.
    Caught { head: Head, diverged: bool },
    /// The watch is there.
    Opened(Head),
    /// Events; the last one is of this revision.
    Events { last: i64 },
    /// A sign of life without events.
    Alive,
    /// Nothing was heard for too long.
    Silent,
    /// The server ended the watch; `compacted` if it is because its start has been compacted.
    Canceled { compacted: bool, kind: EtcdErrorKind },
    /// The step failed, or the connection broke.
    Failed(EtcdErrorKind),
    /// It is time to compare with a whole list.
    Due,
    /// The wait is over, or the token is there.
    Done,
}

/// Why a list was made, for whom it may concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    First,
    Compacted,
    HistoryLost,
    Canceled,
    AntiEntropy,
}

/// The state of following one range.
#[derive(Debug)]
pub(crate) struct Machine {
    members: usize,
    member: usize,
    /// Everything up to and including this revision has been seen.
    revision: i64,
    head: Head,
    /// What is known cannot be continued.
    list: Option<Why>,
    /// Failures since the last good sign.
    failures: usize,
    waits: u32,
    lists: u32,
    authenticated: bool,
    step: Step,
}

impl Machine {
    /// Starts with a list from `member`, one of `members`.
    pub(crate) fn new(members: usize, member: usize) -> Self {
        Self {
            members,
            member,
            revision: 0,
            head: Head::default(),
            list: Some(Why::First),
            failures: 0,
            waits: 0,
            lists: 0,
            authenticated: false,
            step: Step::List,
        }
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// Whom to ask.
    pub(crate) fn member(&self) -> usize {
        self.member
    }

    /// Events up to this revision have been seen and are to be passed over.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Why the list that is being made is made.
    pub(crate) fn why(&self) -> Why {
        self.list.unwrap_or(Why::AntiEntropy)
    }

    /// Whether nothing has gone wrong since the last sign of life.
    pub(crate) fn is_well(&self) -> bool {
        self.failures == 0 && matches!(self.step, Step::Read | Step::Probe | Step::Relist)
    }

    /// Takes in what came of the step, and decides the next one.
    pub(crate) fn see(&mut self, seen: Seen, random: &dyn RandomSource) -> Step {
        self.step = match (self.step, seen) {
            (Step::Relist, Seen::Listed(head)) => self.relisted(head),
            (_, Seen::Listed(head)) => {
                self.revision = head.revision;
                self.head = head;
                self.list = None;
                Step::Open { from: self.revision + 1 }
            }
            (_, Seen::Caught { head, diverged }) => {
                if diverged || self.is_other_history(head) {
                    self.list_because(Why::HistoryLost)
                } else {
                    self.head.term = head.term;
                    Step::Open { from: self.revision + 1 }
                }
            }
            (_, Seen::Opened(head)) if self.is_other_history(head) => self.list_because(Why::HistoryLost),
            (_, Seen::Events { last }) => {
                self.is_good();
                // The events of one revision may come in several messages: those of the last one may not be complete.
                self.revision = self.revision.max(last - 1);
                Step::Read
            }
            (_, Seen::Alive) => {
                self.is_good();
                Step::Read
            }
            (_, Seen::Silent) => Step::Probe,
            (_, Seen::Due) => Step::Relist,
            (_, Seen::Canceled { compacted: true, .. }) => self.overtaken(random),
            (_, Seen::Canceled { kind, .. }) => {
                if !kind.is_auth() {
                    self.list = Some(Why::Canceled);
                }
                self.failed(kind, random)
            }
            // A comparison that failed harms nothing: the watch is still there.
            (_, Seen::Opened(_)) | (Step::Relist, Seen::Failed(_)) => Step::Read,
            (Step::List | Step::Open { .. }, Seen::Failed(EtcdErrorKind::Compacted)) => {
                self.overtaken(random)
            }
            (_, Seen::Failed(kind)) => self.failed(kind, random),
            (_, Seen::Done) => self.resume(),
        };
        self.step
    }

    /// Whether this is not the history that was followed so far.
    pub(crate) fn is_other_history(&self, head: Head) -> bool {
        let known = self.head != Head::default();
        known
            && (head.revision < self.revision
                || head.cluster != self.head.cluster
                || head.term < self.head.term)
    }

    fn is_good(&mut self) {
        (self.failures, self.waits, self.lists, self.authenticated) = (0, 0, 0, false);
    }

    /// A list beside the watch. A history that is not the one being watched needs a new watch.
    fn relisted(&mut self, head: Head) -> Step {
        if self.is_other_history(head) {
            return self.list_because(Why::HistoryLost);
        }
        self.revision = head.revision;
        self.head = head;
        Step::Read
    }

    fn list_because(&mut self, why: Why) -> Step {
        self.list = Some(why);
        Step::List
    }

    /// What is to be read has been compacted meanwhile.
    fn overtaken(&mut self, random: &dyn RandomSource) -> Step {
        self.list.get_or_insert(Why::Compacted);
        self.lists += 1;
        if self.lists > LISTS_AT_ONCE { self.wait(random) } else { Step::List }
    }

    fn failed(&mut self, kind: EtcdErrorKind, random: &dyn RandomSource) -> Step {
        if kind.is_auth() && !self.authenticated {
            self.authenticated = true;
            return Step::Authenticate;
        }
        self.failures += 1;
        self.member = (self.member + 1) % self.members;
        if self.failures.is_multiple_of(self.members) { self.wait(random) } else { self.resume() }
    }

    fn wait(&mut self, random: &dyn RandomSource) -> Step {
        let longest = FIRST_WAIT.saturating_mul(1 << self.waits.min(10)).min(LONGEST_WAIT);
        self.waits += 1;
        Step::Wait(longest.mul_f64(0.5 + random.unit() / 2.0))
    }

    fn resume(&self) -> Step {
        if self.list.is_some() { Step::List } else { Step::Barrier }
    }
}

#[cfg(test)]
mod tests;
