//! Who serves a session under [`Sticky`].

mod common;

use std::time::Duration;

use lb_core::Instance;
use lb_core::registry::{InstanceState, Override};
use lb_core::strategy::{Exclusions, Interest, PickRequest, Strategy};
use lb_core::testing::{StrategyBench, StrategyContract, strategy_contract};
use lb_strategies::{Priority, Random, RoundRobin, Sticky};

use common::Spy;

fn bench(strategy: impl Strategy<Instance>, n: usize) -> StrategyBench {
    StrategyBench::new(strategy, 5).with_equal_members(n)
}

fn served(bench: &StrategyBench, session: u64) -> String {
    served_without(bench, session, &Exclusions::new())
}

fn served_without(bench: &StrategyBench, session: u64, tried: &Exclusions) -> String {
    let request = PickRequest { hash_key: Some(session), ..PickRequest::new(tried) };
    let lease = bench.pool().acquire(request, &bench.now(), bench.random()).expect("somebody is eligible");
    lease.member().id().to_string()
}

#[test]
fn it_keeps_the_contract_of_the_inner_strategy() {
    strategy_contract(|| Sticky::new(RoundRobin::new()));
    strategy_contract(|| Sticky::new(Random::new()).capacity(64));
    StrategyContract::new().even(false).check(|| Sticky::new(Priority::new(RoundRobin::new())));
}

#[test]
fn a_session_stays_whoever_comes_and_goes() {
    let bench = bench(Sticky::new(RoundRobin::new()), 10);
    let sessions: Vec<_> = (0..200).map(|session| served(&bench, session)).collect();
    for i in 0..30 {
        bench.put(Instance::new(format!("new-{i}")));
        bench.remove(&format!("new-{}", i / 2));
        bench.put(Instance::new(StrategyBench::id(i % 10)).with_weight(1 + i as u32 % 4));
        for (session, first) in sessions.iter().enumerate() {
            assert_eq!(served(&bench, session as u64), *first);
        }
    }
}

#[test]
fn new_sessions_are_chosen_by_the_inner_strategy() {
    let bench = bench(Sticky::new(RoundRobin::new().starting_at(0)), 4);
    let order: Vec<_> = [7, 7, 9, 7, 1, 9, 2, 3].map(|session| served(&bench, session)).into();
    assert_eq!(order, ["m000", "m000", "m001", "m000", "m002", "m001", "m003", "m000"]);
}

#[test]
fn a_session_moves_once_when_its_member_is_gone() {
    let leaving: [(&str, fn(&StrategyBench, &str)); 5] = [
        ("deregistered", |bench, id| bench.remove(id)),
        ("drained", |bench, id| bench.lay_over(id, Override::drain())),
        ("without weight", |bench, id| bench.lay_over(id, Override::weight(0))),
        ("resting", |bench, id| bench.rest(id)),
        ("suspect", |bench, id| bench.set_state(id, InstanceState::Suspect)),
    ];
    for (what, leave) in leaving {
        let bench = bench(Sticky::new(RoundRobin::new()), 5);
        let first = served(&bench, 1);
        assert_eq!(served(&bench, 1), first);
        leave(&bench, &first);
        let second = served(&bench, 1);
        assert_ne!(second, first, "{what}");
        // It is there again, but the session has settled.
        bench.remove(&first);
        bench.put(Instance::new(&first));
        assert!((0..20).all(|_| served(&bench, 1) == second), "{what}");
    }
}

#[test]
fn who_comes_back_finds_the_sessions_that_have_not_moved() {
    let bench = bench(Sticky::new(RoundRobin::new()), 5);
    let first = served(&bench, 1);
    bench.remove(&first);
    bench.put(Instance::new(&first));
    assert_eq!(served(&bench, 1), first);
}

/// A retry goes elsewhere; a settled session stays all the same.
#[test]
fn one_failure_does_not_move_a_settled_session() {
    let bench = bench(Sticky::new(RoundRobin::new()), 5);
    let first = served(&bench, 1);
    assert_eq!(served(&bench, 1), first);
    let elsewhere = served_without(&bench, 1, &bench.exclusions([&first]));
    assert_ne!(elsewhere, first);
    assert_eq!(served(&bench, 1), first);
    // One that has only just begun goes where it was served.
    let begun = served(&bench, 2);
    let elsewhere = served_without(&bench, 2, &bench.exclusions([&begun]));
    assert_eq!(served(&bench, 2), elsewhere);
}

#[test]
fn a_session_that_is_not_used_is_forgotten() {
    let bench = bench(Sticky::new(RoundRobin::new()).ttl(Duration::from_secs(60)), 100);
    let first = served(&bench, 1);
    for _ in 0..10 {
        bench.advance(Duration::from_secs(50));
        assert_eq!(served(&bench, 1), first, "used again and again");
    }
    bench.advance(Duration::from_secs(62));
    assert_ne!(served(&bench, 1), first);
}

#[test]
fn memory_is_bounded() {
    let bench = bench(Sticky::new(RoundRobin::new()).capacity(64), 50);
    let sessions: Vec<_> = (0..10_000).map(|session| served(&bench, session)).collect();
    // Nothing of the first ones is left: they are chosen anew, one after the other.
    let kept = (0..1_000).filter(|session| served(&bench, *session as u64) == sessions[*session]).count();
    assert!(kept < 100, "{kept} of 1,000, by chance 20");
}

#[test]
fn services_do_not_share_sessions() {
    let strategy = std::sync::Arc::new(Sticky::new(RoundRobin::new()));
    let one = StrategyBench::new(strategy.clone(), 1).with_equal_members(50);
    let other = StrategyBench::new(strategy, 2).with_equal_members(50);
    let of_one: Vec<_> = (0..50).map(|session| served(&one, session)).collect();
    let same = (0..50).filter(|session| served(&other, *session) == of_one[*session as usize]).count();
    assert!(same < 50, "{same} go to the same member");
}

#[test]
fn the_inner_picker_carries_on_and_is_told() {
    let spy = Spy::default();
    let bench = bench(Sticky::new(spy.clone()), 3);
    assert_eq!(bench.pool().interest(), Interest::ALL);
    let shares = bench.shares(100, &Exclusions::new());
    for (id, count) in shares {
        assert_eq!(u64::from(spy.told.lock().unwrap()[&format!("outcome {id}")]), count);
    }
    let bench = self::bench(Sticky::new(RoundRobin::new().starting_at(0)), 6);
    let order: Vec<_> = (0..6)
        .map(|i| {
            bench.put(Instance::new("m000").with_metadata("i", i.to_string()));
            served(&bench, i)
        })
        .collect();
    assert_eq!(order, (0..6).map(StrategyBench::id).collect::<Vec<_>>());
}
