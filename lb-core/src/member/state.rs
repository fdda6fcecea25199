//! What is known of one instance, under its id: [`MemberState`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::ext::Extensions;
use crate::failure::FailureKind;
use crate::health::{Counts, Gate, Track};
use crate::limit::QuotaGroup;
use crate::time::nanos;

/// What every request reads and writes, on a cache line of its own: the counters, and then the gate, which begins with its
/// flags. In this order, because the one that the compiler chooses puts the flags on a second line; among many members
/// each line is a cache miss.
///
/// In flight = started − finished: two counters that only grow serve for both the number in flight and the total, at
/// one atomic addition per end of a request.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Hot {
    started: AtomicU64,
    finished: AtomicU64,
    gate: Gate,
}

/// See [`MemberState::notes`].
#[derive(Debug, Default)]
#[repr(align(64))]
struct Notes([AtomicU64; 8]);

/// What is known of one instance. Kept under its id; survives changes of the set and of the instance itself.
#[derive(Debug)]
pub struct MemberState {
    hot: Hot,
    notes: Notes,
    ext: Extensions,
    id: Arc<str>,
    token: u64,
    failures: [AtomicU64; FailureKind::ALL.len()],
    cancelled: AtomicU64,
    /// What the failure path remembers.
    track: Mutex<Track>,
    /// Moving average of successful attempts' latency, in nanoseconds; 0 is none yet.
    latency: AtomicU64,
    /// The same for the time to the first byte, where the closure reports it.
    first_byte: AtomicU64,
    /// Its quota, if one was learned that is neither declared nor shared.
    quota: OnceLock<Arc<QuotaGroup>>,
}

impl MemberState {
    pub(crate) fn new(id: Arc<str>, token: u64) -> Self {
        Self {
            hot: Hot::default(),
            notes: Notes::default(),
            ext: Extensions::default(),
            id,
            token,
            failures: Default::default(),
            cancelled: AtomicU64::new(0),
            track: Mutex::default(),
            latency: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            quota: OnceLock::new(),
        }
    }

    /// The instance's id.
    #[inline]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// A number that no other member of the pool has or had.
    #[inline]
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Requests in flight: picked, and neither returned nor dropped. Exact; a load-aware pick may read a value that
    /// another thread is just changing.
    #[inline]
    pub fn in_flight(&self) -> u64 {
        // `finished` first: reading it second could count the end of a request whose start was not yet seen.
        // Acquire pairs with the release in `finish`, which keeps this order also on weakly ordered machines.
        let finished = self.hot.finished.load(Ordering::Acquire);
        self.hot.started.load(Ordering::Relaxed).saturating_sub(finished)
    }

    /// Requests ever given to this instance.
    #[inline]
    pub fn started(&self) -> u64 {
        self.hot.started.load(Ordering::Relaxed)
    }

    /// Failures of the given kind.
    pub fn failures(&self, kind: FailureKind) -> u64 {
        self.failures[kind as usize].load(Ordering::Relaxed)
    }

    /// Attempts dropped before they had an outcome.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Moving average of the latency of successful attempts, over about the last ten that were measured. `None`:
    /// nothing measured yet. Where no strategy and no deadline needs the latency, one attempt in sixteen is measured
    /// after the first 256.
    pub fn latency(&self) -> Option<Duration> {
        average(&self.latency)
    }

    /// Moving average of the time to the first byte, of requests that reported it (`Picked::first_byte`).
    pub fn first_byte(&self) -> Option<Duration> {
        average(&self.first_byte)
    }

    /// A strategy's own notes on this instance, made by `T::default()` the first time. Takes no lock.
    #[inline]
    pub fn ext<T: Default + Send + Sync + 'static>(&self) -> &T {
        self.ext.get()
    }

    /// Eight words for notes, a cache line of their own beside the counters; all 0 at first. Where members are many
    /// each step on the way to notes is a cache miss, and to these there is none.
    ///
    /// They are one for all: the strategies of `lb-strategies` that go by load share them. Those of others keep their
    /// notes in [`ext`](Self::ext), where each type has its own.
    #[inline]
    pub fn notes(&self) -> &[AtomicU64; 8] {
        &self.notes.0
    }

    /// What picks and successes look at.
    #[inline]
    pub(crate) fn gate(&self) -> &Gate {
        &self.hot.gate
    }

    /// Its own quota, if something was learned of it. One load if not.
    #[inline]
    pub(crate) fn quota(&self) -> Option<&Arc<QuotaGroup>> {
        if self.gate().has_quota() { self.quota.get() } else { None }
    }

    /// Its own quota, made if there is none yet.
    pub(crate) fn quota_or_make(&self, make: impl FnOnce() -> Arc<QuotaGroup>) -> &Arc<QuotaGroup> {
        let quota = self.quota.get_or_init(make);
        self.gate().notice_quota();
        quota
    }

    /// What the failure path remembers.
    pub(crate) fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests had which end.
    pub(crate) fn counts(&self) -> Counts {
        let failures = |faults| {
            FailureKind::ALL.iter().filter(|k| k.is_fault() == faults).map(|k| self.failures(*k)).sum::<u64>()
        };
        Counts {
            finished: self.hot.finished.load(Ordering::Relaxed),
            faults: failures(true),
            neutral: failures(false) + self.cancelled(),
        }
    }

    /// Counts a request in; returns how many there were before.
    #[inline]
    pub(crate) fn start(&self) -> u64 {
        self.hot.started.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request out.
    #[inline]
    pub(crate) fn finish(&self) {
        // Release: whoever sees this end sees the start that came before it. SeqCst: see `Gate::is_awaited`.
        self.hot.finished.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_failure(&self, kind: FailureKind) {
        self.failures[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a latency into the average.
    pub(crate) fn observe_latency(&self, latency: Duration) {
        observe(&self.latency, latency);
    }

    /// Takes a time to the first byte into the average.
    pub(crate) fn observe_first_byte(&self, latency: Duration) {
        observe(&self.first_byte, latency);
    }
}

fn average(cell: &AtomicU64) -> Option<Duration> {
    match cell.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Duration::from_nanos(nanos)),
    }
}

/// A tenth of the sample, nine tenths of what was. Two that arrive at once may lose one of them: it is a statistic.
fn observe(cell: &AtomicU64, latency: Duration) {
    let sample = nanos(latency).max(1);
    let old = cell.load(Ordering::Relaxed);
    let new = if old == 0 { sample } else { old - old / 10 + sample / 10 };
    cell.store(new.max(1), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pick_reads_is_on_one_line() {
        assert!(std::mem::offset_of!(Hot, gate) + size_of::<u32>() <= 64);
        assert!(size_of::<Hot>() <= 128);
    }

    #[test]
    fn in_flight_never_misses_a_request_and_ends_at_zero() {
        let state = MemberState::new("a".into(), 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        state.start();
                        // More than four may show: a thread that is interrupted between the two loads sees requests
                        // of the others start that have ended since. Never fewer: that would be a host overlooked.
                        assert!(state.in_flight() >= 1);
                        state.finish();
                    }
                });
            }
        });
        assert_eq!((state.in_flight(), state.started()), (0, 40_000));
    }

    #[test]
    fn latency_follows_the_samples() {
        let state = MemberState::new("a".into(), 1);
        assert_eq!(state.latency(), None);
        for _ in 0..100 {
            state.observe_latency(Duration::from_millis(20));
        }
        let average = state.latency().unwrap();
        assert!((19..=21).contains(&average.as_millis()), "{average:?}");
    }
}
