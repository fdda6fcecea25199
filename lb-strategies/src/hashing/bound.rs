//! Bounded loads: how many requests in flight a member may have: [`Bound`].

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
use lb_core::strategy::{MemberSet, Seat, StrategyError};

use crate::params::invalid;

/// How many times the mean load a member may have: at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LoadFactor(f64);

impl LoadFactor {
    /// Less than 1, and what is not a number, counts as 1.
    pub(super) fn new(factor: f64) -> Self {
        Self(factor.max(1.0))
    }

    /// From the parameter `load_factor` of the strategy `name`.
    pub(super) fn parse(name: &str, factor: Option<f64>) -> Result<Option<Self>, StrategyError> {
        match factor {
            Some(factor) if factor < 1.0 => Err(invalid(
                name,
                format!("`load_factor` is at least 1, not {factor}; without it there is no bound"),
            )),
            factor => Ok(factor.map(Self::new)),
        }
    }

    /// The most requests that a member may have of `total`, if it has this part of the weight.
    fn cap(self, total: u64, weight: u32, whole: u64) -> u64 {
        // A hair less, so that rounding cannot lift a whole number above itself.
        let share = self.0 * total as f64 * f64::from(weight) / whole as f64 - 1e-9;
        share.ceil().max(1.0) as u64
    }
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016, arXiv:1608.01350): with m requests in
/// flight, counting the one that is placed, no member of n gets one that would lift it above ⌈c · m / n⌉; by weight,
/// ⌈c · m · w / W⌉.
///
/// Among up to 32 members m is exact. Among more it is known from looks that are up to k = ⌈n/24⌉ picks old, and is then
/// never taken to be more than m + e, where e is how many requests have ended during the last k picks: the bound is
/// ⌈c · (m + e) / n⌉. While about as many end as begin e is about n/24, which lifts the bound by one request at most; by
/// more only while more than n/c requests end within k picks. The picks are those of one thread: threads that pick at the
/// same instant may each fill the last place.
#[derive(Debug)]
pub(super) struct Bound<I> {
    factor: LoadFactor,
    loads: Loads<I>,
}

/// How many requests there are at the time of a pick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    factor: LoadFactor,
    total: u64,
    whole: u64,
}

impl<I> Bound<I> {
    pub(super) fn new(factor: LoadFactor, set: &MemberSet<I>) -> Self {
        Self { factor, loads: Loads::new(set) }
    }

    pub(super) fn limit(&self) -> Limit {
        Limit { factor: self.factor, total: self.loads.total() + 1, whole: self.loads.set.weights().total }
    }
}

impl Limit {
    /// Whether a member of this weight with so many requests may get one more.
    #[inline]
    pub(super) fn has_room(&self, in_flight: u64, weight: u32) -> bool {
        in_flight < self.factor.cap(self.total, weight, self.whole)
    }
}

/// Up to how many members a pick looks at all of them.
const FEW: usize = 32;
/// At how many it looks otherwise.
const LOOKS: usize = 24;

/// How many requests are in flight on all members together. Nobody keeps that number, because it would be one more
/// line that all threads write. Among up to 32 members they are added up each time, which is exact. Among more, each pick
/// looks at 24 of them in turn, so that what is known of a member is at most n/24 picks old: about the time in which one
/// in 24 members got a request.
#[derive(Debug)]
struct Loads<I> {
    set: MemberSet<I>,
    /// What each had when it was last looked at. Empty: all are looked at each time.
    seen: Box<[AtomicU64]>,
    /// The sum of `seen`, and whose turn it is.
    turn: CachePadded<(AtomicI64, AtomicUsize)>,
}

impl<I> Loads<I> {
    fn new(set: &MemberSet<I>) -> Self {
        let known = if set.len() > FEW { set.len() } else { 0 };
        let loads = Self {
            set: set.clone(),
            seen: (0..known).map(|_| AtomicU64::new(0)).collect(),
            turn: CachePadded::default(),
        };
        (0..known).for_each(|position| loads.look_at(position));
        loads
    }

    fn total(&self) -> u64 {
        if self.seen.is_empty() {
            return self.set.iter().map(|(_, member)| member.in_flight()).sum();
        }
        let from = self.turn.1.fetch_add(LOOKS, Ordering::Relaxed) % self.seen.len();
        // There are more members than looks, so it comes by the end once at most.
        let before_the_end = LOOKS.min(self.seen.len() - from);
        (from..from + before_the_end).for_each(|position| self.look_at(position));
        (0..LOOKS - before_the_end).for_each(|position| self.look_at(position));
        // A thread between its two additions may make the sum fall short for a moment, even below zero.
        self.turn.0.load(Ordering::Relaxed).max(0) as u64
    }

    fn look_at(&self, position: usize) {
        let seat = self.set.slot(position).and_then(|slot| self.set.seat(slot));
        let now = seat.map_or(0, Seat::in_flight);
        let seen = &self.seen[position];
        // Most have what they had, and need not be written.
        if seen.load(Ordering::Relaxed) != now {
            // Another thread may have been here meanwhile: what counts is the difference to what it left.
            let before = seen.swap(now, Ordering::Relaxed);
            self.turn.0.fetch_add(now as i64 - before as i64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::strategy::{Exclusions, PickRequest};
    use lb_core::testing::StrategyBench;

    use crate::Random;

    #[test]
    fn caps_are_rounded_up_and_never_above_themselves() {
        let cap = |factor, total, weight, whole| LoadFactor::new(factor).cap(total, weight, whole);
        assert_eq!([cap(1.0, 10, 1, 10), cap(1.0, 11, 1, 10), cap(1.1, 10, 1, 10)], [1, 2, 2]);
        assert_eq!([cap(1.1, 100, 1, 10), cap(1.25, 100, 3, 10), cap(0.0, 30, 1, 3)], [11, 38, 10]);
        assert_eq!(cap(1.0, 1, 1, 1 << 40), 1);
        assert_eq!(cap(f64::NAN, 30, 1, 3), 10);
        assert_eq!(cap(f64::INFINITY, 1, 1, 2), u64::MAX);
    }

    /// Whether it is added up or looked at in turn, what stands still is known exactly after one round.
    #[test]
    fn the_total_is_found() {
        for n in [1, 5, 32, 33, 100, 1000] {
            let bench = StrategyBench::new(Random::new(), 1).with_equal_members(n);
            let (tried, now) = (Exclusions::new(), bench.now());
            let acquire = || bench.pool().acquire(PickRequest::new(&tried), &now, bench.random());
            let mut leases: Vec<_> = (0..3 * n).map(|_| acquire()).collect();
            let loads = Loads::new(&bench.set());
            assert_eq!(loads.total(), 3 * n as u64);
            leases.truncate(n / 2);
            (0..=n / LOOKS).for_each(|_| assert!(loads.total() <= 3 * n as u64));
            assert_eq!(loads.total(), n as u64 / 2, "{n}");
        }
    }
}
