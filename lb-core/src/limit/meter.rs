//! What picks count for the learning: [`Meter`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::learn::{Full, Phase};
use crate::time::Time;

/// What picks count for the learning, and what they go by while they do.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// [`Phase`].
    pub(super) phase: AtomicU8,
    /// Requests let through since there is a limit.
    pub(super) passed: AtomicU64,
    /// Those since the last refusal that were let through as soon as there was room.
    pub(super) waited: AtomicU64,
    /// When a request last found the bucket full, and how many had passed before it.
    pub(super) full_at: AtomicU64,
    pub(super) full_passed: AtomicU64,
    /// The rate right after the last refusal, the one that it soon goes back to, and the declared one: bits of an `f64`.
    pub(super) rate: AtomicU64,
    pub(super) target: AtomicU64,
    pub(super) plateau: AtomicU64,
    pub(super) cap: AtomicU64,
    /// The longest burst that is tried, in nanoseconds.
    pub(super) longest: AtomicU64,
    /// Whether the bucket was full since the last burst that emptied it, how many such bursts there were, and how many
    /// it takes until a longer one is tried.
    pub(super) was_full: AtomicBool,
    pub(super) bursts: AtomicU64,
    pub(super) patience: AtomicU64,
}

impl Meter {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Unlimited,
            1 => Phase::Searching,
            _ => Phase::Found,
        }
    }

    pub(super) fn rates(&self) -> (f64, f64) {
        let rate = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (rate(&self.rate), rate(&self.target))
    }

    pub(super) fn plateau(&self) -> f64 {
        f64::from_bits(self.plateau.load(Ordering::Relaxed))
    }

    pub(super) fn cap(&self) -> f64 {
        f64::from_bits(self.cap.load(Ordering::Relaxed))
    }

    pub(super) fn full(&self) -> Full {
        let at = Time::from_nanos(self.full_at.load(Ordering::Relaxed));
        Full { at, passed: self.full_passed.load(Ordering::Relaxed) }
    }
}
