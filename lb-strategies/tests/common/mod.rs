//! What tests of decorators share.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_core::Instance;
use lb_core::strategy::{
    Candidates, Exclusions, Member, MemberSet, Outcome, Picker, RoundRobin, Slot, Strategy,
};
use lb_core::testing::StrategyBench;

/// Longer than any count of these tests may be old.
pub(crate) const A_WHILE: Duration = Duration::from_millis(10);

/// What part of `n` requests members get whose ids begin with each of the prefixes.
pub(crate) fn parts<const N: usize>(bench: &StrategyBench, n: u64, prefixes: [&str; N]) -> [f64; N] {
    let shares = bench.shares(n, &Exclusions::new());
    prefixes.map(|prefix| {
        let of = |(id, count): (&Arc<str>, &u64)| if id.starts_with(prefix) { *count } else { 0 };
        shares.iter().map(of).sum::<u64>() as f64 / n as f64
    })
}

/// Checks parts of many requests that fell by chance.
#[track_caller]
pub(crate) fn assert_close<const N: usize>(parts: [f64; N], expected: [f64; N]) {
    let close = parts.iter().zip(&expected).all(|(part, expected)| {
        // What is all or nothing is exactly so.
        let by_chance = (0.001..0.999).contains(expected);
        (part - expected).abs() <= if by_chance { 0.015 } else { 0.0 }
    });
    assert!(close, "{parts:?}, expected {expected:?}");
}

/// Round robin that writes down what its pickers are told, and whether it was of others than their own members.
#[derive(Clone, Default)]
pub(crate) struct Spy {
    pub(crate) told: Arc<Mutex<BTreeMap<String, u32>>>,
}

struct SpyPicker {
    told: Arc<Mutex<BTreeMap<String, u32>>>,
    own: Vec<String>,
    inner: Box<dyn Picker<Instance>>,
}

impl Strategy<Instance> for Spy {
    fn picker(
        &self,
        set: &MemberSet<Instance>,
        _: Option<&dyn Picker<Instance>>,
    ) -> Box<dyn Picker<Instance>> {
        let own = set.iter().map(|(_, member)| member.id().to_string()).collect();
        let inner = RoundRobin::new().picker(set, None);
        Box::new(SpyPicker { told: Arc::clone(&self.told), own, inner })
    }
}

impl SpyPicker {
    fn note(&self, what: &str, member: &Member<Instance>) {
        let id = member.id();
        let strange = if self.own.contains(&id.to_string()) { "" } else { "elsewhere: " };
        *self.told.lock().unwrap().entry(format!("{strange}{what} {id}")).or_default() += 1;
    }
}

impl Picker<Instance> for SpyPicker {
    fn pick(&self, candidates: &Candidates<'_, Instance>) -> Option<Slot> {
        self.inner.pick(candidates)
    }
    fn on_start(&self, member: &Member<Instance>) {
        self.note("start", member);
    }
    fn on_outcome(&self, member: &Member<Instance>, _: &Outcome) {
        self.note("outcome", member);
    }
}

/// Checks that each request of a bench under a decorator of `spy` is told once.
#[track_caller]
pub(crate) fn assert_told(spy: &Spy, bench: &StrategyBench) {
    let shares = bench.shares(500, &Exclusions::new());
    let told = spy.told.lock().unwrap();
    assert!(shares.len() > 2, "too few got anything: {shares:?}");
    for (id, count) in shares {
        for what in ["start", "outcome"] {
            assert_eq!(u64::from(told[&format!("{what} {id}")]), count, "{what} {id}");
        }
    }
}
