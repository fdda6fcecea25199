//! Chance, as the decisions see it.
//!
//! Every decision that needs chance is given a [`RandomSource`]. Production uses one generator per thread (no shared
//! cache line is written); a seeded balancer uses one that yields the same numbers in the same order on every run.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of uniformly distributed numbers. Not for secrets.
pub trait RandomSource: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;

    /// A number in `0..n`, or 0 if `n` is 0 (multiply-shift; the bias is below 2⁻³² for `n` < 2³²).
    fn below(&self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number in `0.0..1.0`.
    fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

/// One xorshift64* generator per thread, seeded from the operating system. About 2 ns, no shared state.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRandom;

thread_local! {
    /// 0, which no other state leads to: not seeded yet. Known when the program is built, so that no use has to ask whether
    /// it has been made.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

#[cold]
fn seed() -> u64 {
    rand::random::<u64>() | 1
}

impl RandomSource for ThreadRandom {
    #[inline]
    fn next_u64(&self) -> u64 {
        STATE.with(|state| {
            let mut x = state.get();
            if x == 0 {
                x = seed();
            }
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            state.set(x);
            x.wrapping_mul(0x2545_F491_4F6C_DD1D)
        })
    }
}

/// A generator that yields the same sequence for the same seed (`SplitMix64`). Shared by threads through one atomic
/// counter, so the *set* of numbers is fixed and their order is, too, as long as one thread asks.
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// A generator whose sequence is determined by `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl RandomSource for SeededRandom {
    fn next_u64(&self) -> u64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        mix(self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN))
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeededRandom").finish_non_exhaustive()
    }
}

/// The finaliser of `SplitMix64`: spreads every input bit over all output bits.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (a, b) = (SeededRandom::new(7), SeededRandom::new(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
    }

    #[test]
    fn below_is_in_range_and_even() {
        for source in [&SeededRandom::new(1) as &dyn RandomSource, &ThreadRandom] {
            assert_eq!(source.below(0), 0);
            let mut seen = [0_u32; 5];
            for _ in 0..50_000 {
                seen[source.below(5)] += 1;
            }
            assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
            assert!((0..1000).all(|_| (0.0..1.0).contains(&source.unit())));
        }
    }
}
