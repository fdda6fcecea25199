//! How a choice is shared among groups, worked out anew every so often: [`Shares`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lb_core::Time;
use lb_core::strategy::Candidates;

/// What each group has for its members, and the part of all picks that follows from it.
///
/// Counting takes O(number of members), so a pick counts only if the last count is older than 1 ms, or 10 µs per member
/// if that is longer: about a thousandth of one core is spent on it whatever the number of members. Where picks come
/// fast, only every sixteenth of them, by chance, looks at the clock; a count can then be that many picks older.
///
/// One thread counts; others go on with what they find meanwhile. There is no lock: all are relaxed atomics, and a pick
/// that reads half of the old and half of the new shares is one pick in a slightly wrong group, which passes it on if it
/// has nobody.
#[derive(Debug)]
pub(crate) struct Shares {
    /// In nanoseconds.
    counted_at: AtomicU64,
    interval: u64,
    /// A pick looks at the clock if none of these random bits is set.
    skip: AtomicU64,
    groups: Box<[Share]>,
}

#[derive(Debug, Default)]
struct Share {
    /// What those of its members weigh that can be picked.
    available: AtomicU64,
    /// The end of the group's stretch of `0..WHOLE`; it begins where the one before ends.
    end: AtomicU64,
}

const WHOLE: u64 = 1 << 32;
const NEVER: u64 = u64::MAX;

/// The most of [`Shares::skip`]: one in sixteen.
const MAX_SKIP: u64 = 15;

/// How old a count may be.
const INTERVAL: Duration = Duration::from_millis(1);
const INTERVAL_PER_MEMBER: Duration = Duration::from_micros(10);

impl Shares {
    /// Shares for groups of which everybody is available, unless `previous` knows better: shares of the same groups
    /// before a change. The first pick counts.
    pub(crate) fn new(available: impl IntoIterator<Item = u64>, members: usize) -> Self {
        let groups =
            available.into_iter().map(|weight| Share { available: weight.into(), ..Share::default() });
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        Self {
            counted_at: AtomicU64::new(NEVER),
            interval: INTERVAL.max(INTERVAL_PER_MEMBER.saturating_mul(members)).as_nanos() as u64,
            skip: AtomicU64::new(0),
            groups: groups.collect(),
        }
    }

    /// Carries on with the shares of the same groups until the first count.
    pub(crate) fn take_over(&self, previous: &Self) {
        for (new, old) in self.groups.iter().zip(&previous.groups) {
            new.available.store(old.available.load(Ordering::Relaxed), Ordering::Relaxed);
            new.end.store(old.end.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Draws a group, after `count` if that is due.
    #[inline]
    pub(crate) fn draw<I>(&self, candidates: &Candidates<'_, I>, count: impl FnOnce()) -> usize {
        let bits = candidates.random_bits();
        if bits & self.skip.load(Ordering::Relaxed) == 0 && self.is_due(candidates.now()) {
            count();
        }
        let point = bits >> 32;
        let found = self.groups.iter().position(|share| point < share.end.load(Ordering::Relaxed));
        // Rounding may leave a hair after the last end.
        found.unwrap_or(0)
    }

    /// Whether the caller is to count: true for one caller each time that it is due.
    fn is_due(&self, now: Time) -> bool {
        let (now, last) = (now.as_nanos(), self.counted_at.load(Ordering::Relaxed));
        let age = now.saturating_sub(last);
        if last != NEVER && age < self.interval
            || self.counted_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return false;
        }
        if last != NEVER {
            self.adapt(age - self.interval);
        }
        true
    }

    /// Looks at the clock half as often if it was looked at as soon as it had to be, and each time if it was late.
    fn adapt(&self, late: u64) {
        let skip = self.skip.load(Ordering::Relaxed);
        let skip = match late {
            late if late < self.interval / 16 => (2 * skip + 1).min(MAX_SKIP),
            late if late < self.interval / 2 => skip,
            _ => 0,
        };
        self.skip.store(skip, Ordering::Relaxed);
    }

    /// Counts.
    pub(crate) fn count(&self, available: impl Fn(usize) -> u64) {
        for (i, share) in self.groups.iter().enumerate() {
            share.available.store(available(i), Ordering::Relaxed);
        }
    }

    /// What a group had when it was last counted.
    pub(crate) fn available(&self, group: usize) -> u64 {
        self.groups[group].available.load(Ordering::Relaxed)
    }

    /// Where to write the parts of the groups, one after the other.
    pub(crate) fn writer(&self) -> impl FnMut(usize, f64) {
        let mut sum = 0.0;
        move |group, part| {
            sum += part;
            let end = (sum * WHOLE as f64).round() as u64;
            self.groups[group].end.store(end, Ordering::Relaxed);
        }
    }

    /// Draws one of the groups but the first by what they have.
    pub(crate) fn draw_elsewhere<I>(&self, candidates: &Candidates<'_, I>) -> usize {
        let total: u64 = (1..self.groups.len()).map(|i| self.available(i)).sum();
        let mut point = (candidates.random_unit() * total as f64) as u64;
        for i in 1..self.groups.len() {
            let available = self.available(i);
            if point < available {
                return i;
            }
            point -= available;
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::after_origin(Duration::from_micros(micros))
    }

    #[test]
    fn a_count_is_due_once_per_interval() {
        let shares = Shares::new([1, 1], 2);
        let due: Vec<_> = [0, 0, 999, 1_000, 1_001, 2_500, 3_400].map(|t| shares.is_due(at(t))).into();
        assert_eq!(due, [true, false, false, true, false, true, false]);
        let large = Shares::new([1, 1], 1_000);
        let due: Vec<_> = [5, 1_005, 9_999, 10_005].map(|t| large.is_due(at(t))).into();
        assert_eq!(due, [true, false, false, true]);
    }

    #[test]
    fn the_clock_is_looked_at_seldom_only_where_picks_come_fast() {
        let shares = Shares::new([1, 1], 2);
        let skip = || shares.skip.load(Ordering::Relaxed);
        let mut t = 0;
        for (late, expected) in
            [(0, 0), (1, 1), (60, 3), (9, 7), (0, 15), (0, 15), (400, 15), (600, 0), (9_000, 0)]
        {
            t += if t == 0 { 1 } else { 1_000 + late };
            assert!(shares.is_due(at(t)));
            assert_eq!(skip(), expected, "{late} µs late");
        }
    }
}
