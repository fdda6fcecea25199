//! What is left of a lease: [`Piece`].

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// What is left of one dimension of a lease.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) left: AtomicI64,
    pub(super) used: AtomicU64,
    /// The most that was asked for in vain.
    pub(super) denied: AtomicU64,
    /// With so much left it is time to fetch more.
    low: AtomicI64,
}

impl Piece {
    pub(super) fn take(&self, cost: u64) -> bool {
        let cost_i = i64::try_from(cost).unwrap_or(i64::MAX);
        // A request that costs nothing passes unless there are debts.
        if self.left.fetch_sub(cost_i, Relaxed) >= cost_i {
            self.used.fetch_add(cost, Relaxed);
            return true;
        }
        self.left.fetch_add(cost_i, Relaxed);
        self.denied.fetch_max(cost.max(1), Relaxed);
        false
    }

    /// What to ask for to have `need` at hand, and what to give back of what is left.
    pub(super) fn even_out(&self, need: u64) -> (u64, i64) {
        let need = i64::try_from(need).unwrap_or(i64::MAX);
        self.low.store(need / 2, Relaxed);
        let left = self.left.load(Relaxed);
        if left > need {
            self.left.fetch_sub(left - need, Relaxed);
            return (0, left - need);
        }
        (need.saturating_sub(left) as u64, 0)
    }

    pub(super) fn is_low(&self) -> bool {
        self.left.load(Relaxed) <= self.low.load(Relaxed)
    }

    pub(super) fn give_back(&self, cost: u64) {
        self.left.fetch_add(i64::try_from(cost).unwrap_or(i64::MAX), Relaxed);
        // Not below zero: it may have been counted in the period before.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(cost)));
    }
}
