//! A number that many threads read and some write: [`Float`].

use std::borrow::Borrow;
use std::sync::atomic::{AtomicU64, Ordering};

/// An `f64` in an atomic, 0 at first. Two that write at the same instant may lose one of the two: it holds statistics.
#[derive(Clone, Copy, Default)]
pub(crate) struct Float<A = AtomicU64>(pub(crate) A);

impl<A: Borrow<AtomicU64>> Float<A> {
    #[inline]
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.borrow().load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn set(&self, value: f64) {
        self.0.borrow().store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A count as a number. One instruction, where an `as` from a `u64` takes seven; no count comes near 2⁶³.
#[inline]
pub(crate) fn float(count: u64) -> f64 {
    count as i64 as f64
}

/// The least of some numbers, infinity if there are none; NaN is passed over. One instruction each, where `f64::min` takes
/// several because it minds NaN on either side.
#[inline]
pub(crate) fn least(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(f64::INFINITY, |least, number| if number < least { number } else { least })
}
