//! What happens, in order of time: [`Agenda`].

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next request comes.
    Arrival,
    /// A host is done with a piece of work.
    Done { host: u32, life: u32, job: Job, answer: Answer },
    /// An answer reaches the client.
    Answered { job: Job, answer: Answer },
    /// An attempt has taken too long.
    TimedOut(Job),
    /// A wait between rounds is over.
    Wake(Job),
    /// A call has stood in line for as long as it may.
    GiveUp(Job),
    /// The first in a client's line looks again.
    Look { client: u32 },
    /// A host comes, or goes.
    Change(u32),
    /// A client learns of the registry's state as of then.
    Learn { client: u32, version: u32 },
}

/// A piece of work: the call, and which of its steps it belongs to. If the call has gone on since, nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) call: u32,
    pub(super) step: u32,
}

/// What a host answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok,
    Service,
    Unreachable,
    Unusable,
    /// Over the quota; come again after so many milliseconds (0: not said).
    Limited(u32),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest; of several at the same time, the one that was entered first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What will happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Entry>,
    order: u64,
}

impl Agenda {
    /// Enters an event.
    pub(super) fn add(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.heap.push(Entry { at, order: self.order, event });
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}
