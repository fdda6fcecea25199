//! Where rules get their benches from: [`Lab`].

use std::cell::Cell;
use std::sync::Arc;

use super::bench::StrategyBench;
use crate::instance::Instance;
use crate::strategy::Strategy;

/// Makes benches of the strategy under test, each with a seed of its own.
pub(super) struct Lab<'a> {
    make: &'a dyn Fn() -> Arc<dyn Strategy<Instance>>,
    seed: Cell<u64>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(make: &'a dyn Fn() -> Arc<dyn Strategy<Instance>>) -> Self {
        Self { make, seed: Cell::new(0) }
    }

    /// A bench without members.
    pub(super) fn bench(&self) -> StrategyBench {
        self.seed.set(self.seed.get() + 1);
        StrategyBench::of((self.make)(), self.seed.get())
    }

    /// A bench with `n` members of weight 1.
    pub(super) fn equal(&self, n: usize) -> StrategyBench {
        self.bench().with_equal_members(n)
    }

    /// A bench with members of the given weights.
    pub(super) fn weighing(&self, weights: &[u32]) -> StrategyBench {
        self.bench().with_weights(weights.iter().copied())
    }
}
