//! The balancer's random source: per thread, or seeded.

use crate::random::{RandomSource, SeededRandom, ThreadRandom};

#[derive(Debug)]
pub(crate) enum Random {
    Thread(ThreadRandom),
    Seeded(SeededRandom),
}

impl RandomSource for Random {
    #[inline]
    fn next_u64(&self) -> u64 {
        match self {
            Self::Thread(random) => random.next_u64(),
            Self::Seeded(random) => random.next_u64(),
        }
    }
}
