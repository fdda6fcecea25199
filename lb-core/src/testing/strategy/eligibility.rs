//! Only who is eligible is picked.

use std::collections::HashSet;

use super::bench::{StrategyBench, checked_pick};
use super::lab::Lab;
use crate::random::RandomSource;
use crate::registry::{InstanceState, Override};
use crate::strategy::{Candidates, Exclusions};

/// Members that the call has tried, or that rest, are not picked, in whatever number and combination. (The bench looks
/// at every pick.)
pub(super) fn only_eligible_members_are_picked(lab: &Lab<'_>) {
    for n in [2, 3, 10, 70] {
        let bench = lab.equal(n);
        for round in 0..200 {
            let tried = some_of(&bench, n);
            if round % 20 == 19 {
                bench.rest(&StrategyBench::id(bench.random().below(n)));
            }
            for _ in 0..5 {
                let picked = bench.pick(&bench.exclusions(&tried));
                if let Some(member) = picked {
                    assert!(!tried.contains(&**member.id()), "picked {} again in one round", member.id());
                }
            }
        }
    }
}

/// Weight 0, a drain by an operator and a drain by the owner take a member out.
pub(super) fn members_without_weight_are_not_picked(lab: &Lab<'_>) {
    let bench = lab.weighing(&[1, 0, 1, 1, 1, 1]);
    bench.lay_over("m002", Override::drain());
    bench.lay_over("m003", Override::weight(0));
    bench.set_state("m004", InstanceState::Draining);
    let shares = bench.shares(500, &Exclusions::new());
    assert!(
        shares.keys().all(|id| ["m000", "m005"].contains(&&**id)),
        "picked who has no weight: {shares:?}"
    );
    for id in ["m000", "m005"] {
        bench.lay_over(id, Override::weight(0));
    }
    assert!(bench.pick(&Exclusions::new()).is_none(), "picked somebody although all have weight 0");
}

/// A member whose quota refused the request is left out for the rest of the attempt; all others are asked once, and
/// then nobody is left.
pub(super) fn refused_members_are_not_picked_again(lab: &Lab<'_>) {
    for n in [1, 2, 3, 10, 100] {
        let bench = lab.equal(n);
        for _ in 0..5 {
            let (set, tried, now) = (bench.set(), Exclusions::new(), bench.now());
            let published = bench.pool().home().published.load();
            let candidates = Candidates::new(&set, bench.request(&tried), &now, bench.random());
            let mut refused = HashSet::new();
            while let Some((slot, member)) = checked_pick(&*published.picker, &candidates) {
                assert!(refused.insert(slot), "picked {} again after it refused", member.id());
                candidates.refuse(slot);
            }
            assert_eq!(refused.len(), n, "gave up before everybody had refused");
        }
    }
}

/// A member that vanished in a crowd is picked only if there is nobody else.
pub(super) fn suspects_are_picked_last(lab: &Lab<'_>) {
    let bench = lab.equal(3);
    bench.set_state("m001", InstanceState::Suspect);
    let shares = bench.shares(200, &Exclusions::new());
    assert!(!shares.contains_key("m001"), "picked a suspect although others are eligible: {shares:?}");
    let (now, tried) = (bench.now(), bench.exclusions(["m000", "m002"]));
    for _ in 0..20 {
        let lease = bench.pool().acquire(bench.request(&tried), &now, bench.random());
        let id = lease.ok().map(|lease| lease.member().id().to_string());
        assert_eq!(id.as_deref(), Some("m001"), "nobody but a suspect is left");
    }
}

/// A random choice of ids, any number of them.
pub(super) fn some_of(bench: &StrategyBench, n: usize) -> HashSet<String> {
    let chance = bench.random().unit();
    (0..n).filter(|_| bench.random().unit() < chance).map(StrategyBench::id).collect()
}
