//! Chance. Every stream of numbers has its own seed, so that what one part draws does not shift what another draws:
//! all strategies see the same requests at the same times, and the same request is as much work for all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use lb_core::RandomSource;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of `SplitMix64`.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One number out of several.
pub const fn hash(seed: u64, a: u64, b: u64) -> u64 {
    let z = mix(seed.wrapping_add(GOLDEN));
    let z = mix(z ^ a.wrapping_mul(GOLDEN).wrapping_add(1));
    mix(z ^ b.wrapping_mul(0xD6E8_FEB8_6659_FD93).wrapping_add(2))
}

/// What one client draws from when it picks: like `SeededRandom` of the core, but for one thread, which is cheaper.
#[derive(Debug)]
pub struct Stream(AtomicU64);

impl Stream {
    /// The stream of that seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl RandomSource for Stream {
    fn next_u64(&self) -> u64 {
        let state = self.0.load(Ordering::Relaxed).wrapping_add(GOLDEN);
        self.0.store(state, Ordering::Relaxed);
        mix(state)
    }
}

/// The numbers that belong to one thing, such as one attempt: the same whoever draws them, and when.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// What belongs to `a` and `b` under that seed.
    pub const fn new(seed: u64, a: u64, b: u64) -> Self {
        Self(hash(seed, a, b))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number in `0..n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Exponentially distributed, with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normally distributed, with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
