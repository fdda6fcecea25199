//! What tests of tables share.

use lb_core::Instance;
use lb_core::strategy::{MemberSet, Slot};
use lb_core::testing::StrategyBench;

use super::nodes::sources;
use super::picker::Table;
use crate::Random;

/// A set of members of the given ids and weights.
pub(super) fn set<'a>(members: impl IntoIterator<Item = (&'a str, u32)>) -> MemberSet<Instance> {
    let bench = StrategyBench::new(Random::new(), 1);
    for (id, weight) in members {
        bench.put(Instance::new(id).with_weight(weight));
    }
    bench.set()
}

/// So many slots.
pub(super) fn slots(n: usize) -> Vec<Slot> {
    let set = StrategyBench::new(Random::new(), 1).with_equal_members(n).set();
    set.iter().map(|(slot, _)| slot).collect()
}

/// The table of a set.
pub(super) fn table<T: Table>(spec: T::Spec, set: &MemberSet<Instance>) -> T {
    T::build(spec, &sources(set, T::ORDER))
}

/// The ids of slots.
pub(super) fn ids(set: &MemberSet<Instance>, slots: impl IntoIterator<Item = Slot>) -> Vec<String> {
    slots.into_iter().filter_map(|slot| Some(set.member(slot)?.id().to_string())).collect()
}

/// Lines of fields from a file of reference values; empty lines and those that begin with `#` are left out.
pub(super) fn lines(file: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_whitespace().collect())
}
