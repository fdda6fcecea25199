//! What probes have said lately, to be read without a lock: [`ProbePool`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lb_core::Time;

/// How often an answer may be used: without end, which is what the largest number stands for.
pub(super) const NO_END: u8 = (1 << USES_BITS) - 1;

const VERSION_BITS: u32 = 12;
const USES_BITS: u32 = 6;
const LOAD_BITS: u32 = 16;
const PLACE_BITS: u32 = 64 - VERSION_BITS - USES_BITS - LOAD_BITS;
const VALUE_BITS: u32 = 64 - VERSION_BITS;

const MOST_LOAD: u64 = (1 << LOAD_BITS) - 1;
const VALUE: u64 = (1 << VALUE_BITS) - 1;
/// Times are kept in units of 2^12 ns.
const TIME_SHIFT: u32 = VERSION_BITS;

/// The latest answers to probes, one per member at most, in a fixed number of cells.
///
/// A cell is three words that carry the same version: who reads words of two versions has met the writer, and passes the
/// cell over. Picks take uses off and add requests to the first word by compare-and-swap. One writer at a time. It is a
/// statistic: a use that is lost to the writer at the same instant is of no account.
#[derive(Debug)]
pub(super) struct ProbePool {
    cells: Box<[Cell]>,
    max_age: Duration,
}

#[derive(Debug, Default)]
struct Cell {
    /// Version, uses left (0: empty), requests in flight, place of the member.
    head: AtomicU64,
    /// Version, latency in nanoseconds.
    latency: AtomicU64,
    /// Version, time of the answer.
    at: AtomicU64,
}

/// An answer as a pick sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The position of the member in its set.
    pub(super) place: usize,
    /// Requests in flight: what the server said, and one for each time that the answer was used.
    pub(super) in_flight: u64,
    /// In nanoseconds.
    pub(super) latency: u64,
    pub(super) at: Time,
    /// How often it may still be used.
    pub(super) uses: u8,
    cell: usize,
    head: u64,
}

impl Answer {
    pub(super) fn new(place: usize, in_flight: u64, latency: Duration, at: Time, uses: u8) -> Self {
        let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        Self { place, in_flight, latency, at, uses, cell: 0, head: 0 }
    }

    /// The same of the member at another place.
    pub(super) fn at_place(self, place: usize) -> Self {
        Self { place, ..self }
    }
}

impl ProbePool {
    /// Keeps `size` answers, none of them longer than `max_age`.
    pub(super) fn new(size: usize, max_age: Duration) -> Self {
        Self { cells: (0..size).map(|_| Cell::default()).collect(), max_age }
    }

    pub(super) fn size(&self) -> usize {
        self.cells.len()
    }

    /// The answers that are of use at `now`, from the cell `from` on.
    #[inline]
    pub(super) fn answers(&self, now: Time, from: usize) -> impl Iterator<Item = Answer> {
        let (before, after) = self.cells.split_at(from.min(self.cells.len()));
        let cells = after.iter().enumerate().map(move |(i, cell)| (before.len() + i, cell));
        let cells = cells.chain(before.iter().enumerate());
        cells.filter_map(move |(i, cell)| cell.read(i)).filter(move |answer| self.is_fresh(answer, now))
    }

    fn is_fresh(&self, answer: &Answer, now: Time) -> bool {
        now.since(answer.at) <= self.max_age
    }

    /// A request goes to the member of that answer: the server has one more, and the answer one use less.
    #[inline]
    pub(super) fn take(&self, answer: &Answer) {
        let (mut head, cell) = (answer.head, &self.cells[answer.cell].head);
        // The writer's version stands; of picks at the same instant each gets through in the end.
        while version(head) == version(answer.head) && uses(head) > 0 {
            let left = if uses(head) == NO_END { NO_END } else { uses(head) - 1 };
            let load = (load(head) + 1).min(MOST_LOAD);
            let next = pack(version(head), left, load, answer.place);
            match cell.compare_exchange_weak(head, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Forgets an answer, unless it has changed.
    #[inline]
    pub(super) fn remove(&self, answer: &Answer) {
        let empty = pack(version(answer.head), 0, 0, 0);
        let head = &self.cells[answer.cell].head;
        let _ = head.compare_exchange(answer.head, empty, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes in an answer: in the place of that member's last one, or in an empty place, or of the oldest. By one thread
    /// at a time.
    pub(super) fn put(&self, answer: &Answer, now: Time) {
        if answer.place >= 1 << PLACE_BITS || answer.uses == 0 {
            return;
        }
        let cells = self.cells.iter().enumerate();
        let rank = |(i, cell): (usize, &Cell)| match cell.read(i).filter(|old| self.is_fresh(old, now)) {
            Some(old) if old.place == answer.place => (0, Time::ORIGIN, i),
            None => (1, Time::ORIGIN, i),
            Some(old) => (2, old.at, i),
        };
        if let Some((.., i)) = cells.map(rank).min() {
            self.cells[i].write(answer);
        }
    }
}

impl Cell {
    #[inline]
    fn read(&self, cell: usize) -> Option<Answer> {
        let head = self.head.load(Ordering::Acquire);
        if uses(head) == 0 {
            return None;
        }
        let (latency, at) = (self.latency.load(Ordering::Relaxed), self.at.load(Ordering::Relaxed));
        let version = version(head);
        if latency >> VALUE_BITS != version || at >> VALUE_BITS != version {
            return None;
        }
        Some(Answer {
            place: (head & ((1 << PLACE_BITS) - 1)) as usize,
            in_flight: load(head),
            latency: latency & VALUE,
            at: Time::from_nanos((at & VALUE) << TIME_SHIFT),
            uses: uses(head),
            cell,
            head,
        })
    }

    fn write(&self, answer: &Answer) {
        let version = (version(self.head.load(Ordering::Relaxed)) + 1) % (1 << VERSION_BITS);
        let tag = version << VALUE_BITS;
        self.head.store(pack(version, 0, 0, 0), Ordering::Relaxed);
        self.latency.store(tag | answer.latency.min(VALUE), Ordering::Relaxed);
        // Up, so that nothing is too old before its time.
        let at = answer.at.as_nanos().div_ceil(1 << TIME_SHIFT).min(VALUE);
        self.at.store(tag | at, Ordering::Relaxed);
        // Release: who sees this sees the two others.
        let load = answer.in_flight.min(MOST_LOAD);
        self.head.store(pack(version, answer.uses.min(NO_END), load, answer.place), Ordering::Release);
    }
}

const fn pack(version: u64, uses: u8, load: u64, place: usize) -> u64 {
    (((((version << USES_BITS) | uses as u64) << LOAD_BITS) | load) << PLACE_BITS) | place as u64
}

const fn version(head: u64) -> u64 {
    head >> VALUE_BITS
}

const fn uses(head: u64) -> u8 {
    ((head >> (LOAD_BITS + PLACE_BITS)) & NO_END as u64) as u8
}

const fn load(head: u64) -> u64 {
    (head >> PLACE_BITS) & MOST_LOAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Time {
        Time::after_origin(Duration::from_millis(10_000 + millis))
    }

    fn answer(place: usize, in_flight: u64, millis: u64, uses: u8) -> Answer {
        Answer::new(place, in_flight, Duration::from_millis(5), at(millis), uses)
    }

    fn seen(pool: &ProbePool, millis: u64) -> Vec<(usize, u64, u8)> {
        let mut seen: Vec<_> = pool.answers(at(millis), 0).map(|a| (a.place, a.in_flight, a.uses)).collect();
        seen.sort_unstable();
        seen
    }

    #[test]
    fn what_is_put_in_is_read_until_it_is_too_old() {
        let pool = ProbePool::new(16, SECOND);
        pool.put(&answer(7, 3, 0, 2), at(0));
        let read = pool.answers(at(0), 5).next().unwrap();
        assert_eq!((read.place, read.in_flight, read.latency, read.uses), (7, 3, 5_000_000, 2));
        assert!(read.at.since(at(0)) < Duration::from_micros(5));
        assert_eq!((seen(&pool, 1_000).len(), seen(&pool, 1_001).len()), (1, 0));
    }

    #[test]
    fn a_use_adds_a_request_and_the_last_one_empties() {
        let pool = ProbePool::new(4, SECOND);
        pool.put(&answer(1, 3, 0, 2), at(0));
        pool.take(&pool.answers(at(0), 0).next().unwrap());
        assert_eq!(seen(&pool, 0), [(1, 4, 1)]);
        pool.take(&pool.answers(at(0), 0).next().unwrap());
        assert_eq!(seen(&pool, 0), []);
        pool.put(&answer(2, u64::MAX, 0, NO_END), at(0));
        (0..200).for_each(|_| pool.take(&pool.answers(at(0), 0).next().unwrap()));
        assert_eq!(seen(&pool, 0), [(2, MOST_LOAD, NO_END)]);
    }

    /// Two picks that have read the same answer are both counted.
    #[test]
    fn picks_at_the_same_instant_count_each() {
        let pool = ProbePool::new(1, SECOND);
        pool.put(&answer(1, 0, 0, 10), at(0));
        let read = pool.answers(at(0), 0).next().unwrap();
        (0..3).for_each(|_| pool.take(&read));
        assert_eq!(seen(&pool, 0), [(1, 3, 7)]);
        // And who has read what was replaced since changes nothing.
        pool.put(&answer(1, 40, 1, 5), at(1));
        pool.take(&read);
        pool.remove(&read);
        assert_eq!(seen(&pool, 1), [(1, 40, 5)]);
    }

    #[test]
    fn a_full_pool_gives_up_the_oldest() {
        let pool = ProbePool::new(3, SECOND);
        for (place, millis) in [(1, 20), (2, 0), (3, 10)] {
            pool.put(&answer(place, 0, millis, 9), at(20));
        }
        pool.put(&answer(4, 0, 30, 9), at(30));
        assert_eq!(seen(&pool, 30), [(1, 0, 9), (3, 0, 9), (4, 0, 9)]);
        let oldest = pool.answers(at(30), 0).min_by_key(|answer| answer.at).unwrap();
        pool.remove(&oldest);
        assert_eq!(seen(&pool, 30), [(1, 0, 9), (4, 0, 9)]);
    }

    proptest! {
        /// Whatever is put in and taken: one answer per member, none too old, none used more often than it may be.
        #[test]
        fn there_is_one_fresh_answer_per_member_within_its_uses(
            steps in proptest::collection::vec((0..24_usize, 0..400_u64, 1..5_u8, 0..16_usize), 1..200),
        ) {
            let pool = ProbePool::new(16, SECOND);
            let mut now = 0;
            let mut latest = std::collections::HashMap::new();
            for (place, passes, uses, from) in steps {
                now += passes;
                pool.put(&answer(place, 10, now, uses), at(now));
                latest.insert(place, (now, u64::from(uses)));
                if let Some(read) = pool.answers(at(now), from).next() {
                    pool.take(&read);
                }
                let mut members = std::collections::HashSet::new();
                for read in pool.answers(at(now), from) {
                    prop_assert!(members.insert(read.place));
                    let (put_at, budget) = latest[&read.place];
                    prop_assert!(now - put_at <= 1_000 && read.at.since(at(put_at)) < Duration::from_micros(5));
                    prop_assert_eq!(read.in_flight - 10 + u64::from(read.uses), budget);
                }
                prop_assert!(members.len() <= 16);
            }
        }
    }

    /// Whoever reads while somebody writes sees one answer or another, and never parts of two.
    #[test]
    fn no_pick_sees_half_of_an_answer() {
        let pool = ProbePool::new(1, SECOND);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for read in pool.answers(at(0), 0) {
                            assert_eq!(read.latency, read.place as u64 * 1_000_000);
                            pool.take(&read);
                        }
                    }
                });
            }
            for i in 1..20_000_usize {
                let place = i % 100;
                pool.put(&Answer::new(place, 0, Duration::from_millis(place as u64), at(0), 9), at(0));
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
