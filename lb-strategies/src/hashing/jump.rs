//! Members by number: [`Jump`].

use std::cmp::Ordering;

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;

use super::bound::LoadFactor;
use super::mix::{mix, rehash, unit};
use super::natural;
use super::nodes::Source;
use super::picker::{HashPicker, PROBES, Table};

/// Jump consistent hashing (Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", arXiv:1406.2294): a
/// key's member is computed from the number of members alone. Requests with the same key (`CallOptions::hash_key`) go to
/// the same member.
///
/// Use it for shards: members that are numbered (`shard-0`, `shard-1`, …; a Kubernetes `StatefulSet`), of which the last
/// ones come and go when the service is resized, while one that fails comes back under its name. Shares are exactly even
/// and there is no table. Do not use it where any member may leave; see below.
///
/// Members are numbered in the order of their ids, runs of digits by value: `shard-9` comes before `shard-10`. All
/// clients have the same order, in whatever order they learned of the members.
///
/// **What moves.** When the *last* in order leaves, its 1/N of the keys and nothing else; when one comes *behind* the
/// last, it takes 1/(N + 1) from the others, evenly. When one in the middle leaves, all behind it move up by one number:
/// the keys of those it leaves behind change their member, too, so with the first one gone **nearly all** keys move, and
/// half of them on average. A member that is only not eligible (resting, ejected, tried) moves nothing but its own keys.
///
/// With unequal weights a member accepts a key with a chance of its weight over the largest, else the key is hashed
/// again. So shares follow the weights; but a new *largest* weight moves many keys.
///
/// A key whose member is not eligible is hashed again, up to 64 times; then one of the eligible is taken by rendezvous
/// hashing. A request without a key is given a random one. A member that is eased in ([slow
/// start](lb_core::SlowStart)) takes its keys over one by one, each once; until then they go where they would if it were
/// not eligible.
///
/// A pick is O(log n), about 4 ns per doubling, times the largest weight over the mean; O(number of members) if hardly any
/// is eligible. No lock, no allocation. A new set costs O(n log n).
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Jump;
///
/// // Requests of many keys, and some without.
/// let bench = StrategyBench::new(Jump::new(), 7).with_equal_members(4);
/// let shares = bench.shares(4_000, &Default::default());
/// assert!((900..1_100).contains(&shares["m003"]), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Jump {
    load_factor: Option<LoadFactor>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    load_factor: Option<f64>,
}

impl Jump {
    /// The name in configuration.
    pub const NAME: &'static str = "jump";

    /// By number and weight.
    pub const fn new() -> Self {
        Self { load_factor: None }
    }

    /// Bounds loads: no member gets more than `factor` times the mean of requests in flight for its weight, rounded
    /// up; what is above is hashed again. Less than 1 counts as 1. Default: no bound. See
    /// [`Maglev::load_factor`](crate::Maglev::load_factor) for the rule.
    #[must_use]
    pub fn load_factor(mut self, factor: f64) -> Self {
        self.load_factor = Some(LoadFactor::new(factor));
        self
    }

    /// From configuration: `{ "load_factor": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { load_factor: LoadFactor::parse(Self::NAME, params.load_factor)? })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Jump {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        HashPicker::<I, Numbered>::boxed((), self.load_factor, set, previous)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// The members in order, each with its weight over the largest.
struct Numbered(Box<[(Slot, f64)]>);

impl Table for Numbered {
    type Spec = ();

    const ORDER: fn(&str, &str) -> Ordering = natural::compare;

    fn build((): (), members: &[Source<'_>]) -> Self {
        let max = members.iter().map(|member| member.weight).max().unwrap_or(1);
        let part = |member: &Source<'_>| f64::from(member.weight) / f64::from(max);
        Self(members.iter().map(|member| (member.slot, part(member))).collect())
    }

    #[inline]
    fn probe(&self, key: u64) -> impl Iterator<Item = Slot> {
        let probes = if self.0.is_empty() { 0 } else { PROBES as u64 };
        (0..probes).filter_map(move |i| {
            let hash = rehash(key, i);
            let (slot, part) = self.0[jump(hash, self.0.len())];
            (part >= 1.0 || unit(mix(!hash)) < part).then_some(slot)
        })
    }
}

/// The number in `0..n` that belongs to a key. As `n` grows a key changes to a new number with a chance of 1/n, and never
/// to an old one: a random number says each time how far to jump to the next change. `n` is at least 1.
///
/// The division does not depend on where the last jump ended, so the processor has it ready by then.
fn jump(mut key: u64, n: usize) -> usize {
    const MAX: f64 = (1_u64 << 31) as f64;
    let (mut at, end) = (0, n as i64 as f64);
    loop {
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // By way of signed numbers: one instruction each.
        let far = MAX / ((key >> 33) as i64 + 1) as f64;
        let next = (at + 1) as f64 * far;
        if next >= end {
            return at as usize;
        }
        at = next as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, set, table};
    use super::*;
    use proptest::prelude::*;

    /// Values of the paper's code, computed by another program.
    #[test]
    fn numbers_are_those_of_the_paper() {
        let reference = include_str!("../../tests/reference/jump.txt");
        let mut known = 0;
        for line in super::super::testing::lines(reference) {
            let [key, n, number] = [0, 1, 2].map(|i| line[i].parse::<u64>().unwrap());
            assert_eq!(jump(key, n as usize), number as usize, "{line:?}");
            known += 1;
        }
        assert!(known > 20);
    }

    #[test]
    fn members_are_numbered_as_people_count() {
        let names: Vec<_> = (0..20).rev().map(|i| format!("shard-{i}")).collect();
        let set = set(names.iter().map(|name| (&**name, 1)));
        let Numbered(members) = table((), &set);
        let expected: Vec<_> = (0..20).map(|i| format!("shard-{i}")).collect();
        assert_eq!(ids(&set, members.iter().map(|(slot, _)| *slot)), expected);
    }

    proptest! {
        #[test]
        fn who_comes_last_takes_and_nobody_else(key: u64, n in 1..500_usize) {
            let (before, after) = (jump(key, n), jump(key, n + 1));
            prop_assert!(after == before || after == n);
        }
    }
}
