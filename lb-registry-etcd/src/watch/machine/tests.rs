use lb_core::SeededRandom;
use proptest::prelude::*;

use super::*;

const HEAD: Head = Head { cluster: 7, term: 3, revision: 100 };

struct Bench {
    machine: Machine,
    random: SeededRandom,
}

impl Bench {
    fn new(members: usize) -> Self {
        Self { machine: Machine::new(members, 0), random: SeededRandom::new(1) }
    }

    /// One that is reading from revision 101 on.
    fn reading(members: usize) -> Self {
        let mut bench = Self::new(members);
        assert_eq!(bench.machine.step(), Step::List);
        assert_eq!(bench.see(Seen::Listed(HEAD)), Step::Open { from: 101 });
        assert_eq!(bench.see(Seen::Opened(HEAD)), Step::Read);
        assert_eq!(bench.see(Seen::Alive), Step::Read);
        bench
    }

    fn see(&mut self, seen: Seen) -> Step {
        self.machine.see(seen, &self.random)
    }

    fn breaks(&mut self) -> Step {
        self.see(Seen::Failed(EtcdErrorKind::Unavailable))
    }
}

fn at(revision: i64) -> Seen {
    Seen::Caught { head: Head { revision, ..HEAD }, diverged: false }
}

#[test]
fn a_broken_watch_is_resumed_on_the_next_member_without_a_list() {
    let mut bench = Bench::reading(3);
    bench.see(Seen::Events { last: 120 });
    assert_eq!(bench.breaks(), Step::Barrier);
    assert_eq!(bench.machine.member(), 1);
    assert_eq!(bench.see(at(130)), Step::Open { from: 120 }, "the last revision is read again");
    assert!(!bench.machine.is_well());
    bench.see(Seen::Opened(Head { revision: 130, ..HEAD }));
    bench.see(Seen::Alive);
    assert!(bench.machine.is_well());
}

#[test]
fn it_waits_only_when_all_members_failed_and_longer_each_time() {
    let mut bench = Bench::reading(3);
    let mut last = Duration::ZERO;
    for round in 0..8 {
        assert_eq!(bench.breaks(), Step::Barrier);
        assert_eq!(bench.breaks(), Step::Barrier);
        let Step::Wait(wait) = bench.breaks() else { panic!("no wait after all three failed") };
        let longest = FIRST_WAIT * (1 << round);
        assert!(
            wait <= longest.min(LONGEST_WAIT) && wait >= longest.min(LONGEST_WAIT) / 2,
            "{round}: {wait:?}"
        );
        assert!(wait * 2 >= last);
        last = wait;
        assert_eq!(bench.see(Seen::Done), Step::Barrier);
    }
    bench.see(at(100));
    bench.see(Seen::Opened(HEAD));
    bench.see(Seen::Alive);
    for _ in 0..2 {
        bench.breaks();
    }
    let Step::Wait(wait) = bench.breaks() else { panic!("no wait") };
    assert!(wait <= FIRST_WAIT, "the wait does not begin anew after a good sign: {wait:?}");
}

#[test]
fn another_history_is_listed() {
    for head in [
        Head { revision: 99, ..HEAD },
        Head { cluster: 8, revision: 500, ..HEAD },
        Head { term: 2, revision: 500, ..HEAD },
    ] {
        let mut bench = Bench::reading(1);
        bench.breaks();
        bench.see(Seen::Done);
        assert_eq!(bench.see(Seen::Caught { head, diverged: false }), Step::List, "{head:?}");
        assert_eq!(bench.machine.why(), Why::HistoryLost);
        let revision = head.revision;
        assert_eq!(
            bench.see(Seen::Listed(head)),
            Step::Open { from: revision + 1 },
            "the revision goes back, too"
        );
    }
    let mut bench = Bench::reading(1);
    bench.breaks();
    bench.see(Seen::Done);
    assert_eq!(bench.see(Seen::Caught { head: HEAD, diverged: true }), Step::List);
}

#[test]
fn a_history_that_is_lost_between_barrier_and_watch_is_noticed() {
    let mut bench = Bench::reading(1);
    bench.breaks();
    bench.see(Seen::Done);
    bench.see(at(100));
    assert_eq!(bench.see(Seen::Opened(Head { revision: 2, ..HEAD })), Step::List);
}

#[test]
fn a_higher_term_is_the_same_history() {
    let mut bench = Bench::reading(1);
    bench.breaks();
    bench.see(Seen::Done);
    let head = Head { term: 9, revision: 101, ..HEAD };
    assert_eq!(bench.see(Seen::Caught { head, diverged: false }), Step::Open { from: 101 });
}

#[test]
fn compaction_leads_to_a_list_at_once_but_not_for_ever() {
    let mut bench = Bench::reading(1);
    let overtaken = Seen::Canceled { compacted: true, kind: EtcdErrorKind::Other };
    for _ in 0..LISTS_AT_ONCE {
        assert_eq!(bench.see(overtaken), Step::List);
        assert_eq!(bench.machine.why(), Why::Compacted);
        bench.see(Seen::Listed(HEAD));
    }
    assert!(matches!(bench.see(overtaken), Step::Wait(_)));
    assert_eq!(bench.see(Seen::Done), Step::List);
    assert!(
        matches!(bench.see(Seen::Failed(EtcdErrorKind::Compacted)), Step::Wait(_)),
        "overtaken while listing"
    );
}

#[test]
fn a_refused_watch_gets_a_new_token_once_and_then_another_member() {
    let mut bench = Bench::reading(2);
    let refused = Seen::Canceled { compacted: false, kind: EtcdErrorKind::Unauthenticated };
    assert_eq!(bench.see(refused), Step::Authenticate);
    assert_eq!(bench.see(Seen::Done), Step::Barrier, "what is known goes on being valid");
    assert_eq!(bench.see(Seen::Failed(EtcdErrorKind::PermissionDenied)), Step::Barrier);
    assert_eq!(bench.machine.member(), 1);
    assert!(matches!(bench.see(Seen::Failed(EtcdErrorKind::PermissionDenied)), Step::Wait(_)));
}

#[test]
fn a_watch_that_ends_for_no_reason_is_followed_by_a_list() {
    let mut bench = Bench::reading(2);
    bench.see(Seen::Canceled { compacted: false, kind: EtcdErrorKind::Other });
    assert_eq!((bench.machine.step(), bench.machine.why()), (Step::List, Why::Canceled));
}

#[test]
fn silence_is_asked_about_and_a_sign_of_life_is_enough() {
    let mut bench = Bench::reading(2);
    assert_eq!(bench.see(Seen::Silent), Step::Probe);
    assert!(bench.machine.is_well());
    assert_eq!(bench.see(Seen::Alive), Step::Read);
    bench.see(Seen::Silent);
    assert_eq!(bench.see(Seen::Failed(EtcdErrorKind::Timeout)), Step::Barrier);
    assert_eq!(bench.machine.member(), 1);
}

#[test]
fn a_list_beside_the_watch_moves_the_revision_and_its_failure_harms_nothing() {
    let mut bench = Bench::reading(1);
    assert_eq!(bench.see(Seen::Due), Step::Relist);
    assert_eq!(bench.see(Seen::Failed(EtcdErrorKind::Timeout)), Step::Read);
    bench.see(Seen::Due);
    assert_eq!(bench.see(Seen::Listed(Head { revision: 150, ..HEAD })), Step::Read);
    assert_eq!(bench.machine.revision(), 150);
    bench.see(Seen::Events { last: 140 });
    assert_eq!(bench.machine.revision(), 150, "what was listed is not forgotten");
    bench.see(Seen::Due);
    assert_eq!(bench.see(Seen::Listed(Head { revision: 3, ..HEAD })), Step::List);
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let head = (0..2_u64, 1..4_u64, 0..200_i64).prop_map(|(cluster, term, revision)| Head {
        cluster,
        term,
        revision,
    });
    let kind = prop_oneof![
        Just(EtcdErrorKind::Timeout),
        Just(EtcdErrorKind::Unavailable),
        Just(EtcdErrorKind::Compacted),
        Just(EtcdErrorKind::PermissionDenied),
        Just(EtcdErrorKind::NoSpace),
    ];
    prop_oneof![
        head.clone().prop_map(Seen::Listed),
        (head.clone(), any::<bool>()).prop_map(|(head, diverged)| Seen::Caught { head, diverged }),
        head.prop_map(Seen::Opened),
        (0..200_i64).prop_map(|last| Seen::Events { last }),
        Just(Seen::Alive),
        Just(Seen::Silent),
        (any::<bool>(), kind.clone()).prop_map(|(compacted, kind)| Seen::Canceled { compacted, kind }),
        kind.prop_map(Seen::Failed),
        Just(Seen::Due),
    ]
}

proptest! {
    /// Whatever happens: nothing is watched before it was listed, a watch starts right after what is known, members
    /// stay in range, and after every wait there is work.
    #[test]
    fn it_never_skips_and_never_stops(members in 1..4_usize, story in prop::collection::vec(any_seen(), 1..60)) {
        let mut bench = Bench::new(members);
        let mut listed = false;
        for seen in story {
            let seen = match bench.machine.step() {
                Step::Wait(wait) => {
                    prop_assert!(wait <= LONGEST_WAIT && !wait.is_zero());
                    Seen::Done
                }
                Step::Authenticate => Seen::Done,
                // Only what can come of the step.
                Step::List => match seen { Seen::Listed(_) | Seen::Failed(_) => seen, _ => continue },
                Step::Relist => match seen { Seen::Listed(_) | Seen::Failed(_) => seen, _ => continue },
                Step::Barrier => match seen { Seen::Caught { .. } | Seen::Failed(_) => seen, _ => continue },
                Step::Open { .. } => match seen {
                    Seen::Opened(_) | Seen::Failed(_) | Seen::Canceled { .. } => seen, _ => continue,
                },
                Step::Probe => match seen { Seen::Alive | Seen::Failed(_) => seen, _ => continue },
                Step::Read => match seen {
                    Seen::Events { .. } | Seen::Alive | Seen::Silent | Seen::Canceled { .. } | Seen::Failed(_)
                    | Seen::Due => seen,
                    _ => continue,
                },
            };
            listed |= matches!(seen, Seen::Listed(_));
            let step = bench.see(seen);
            prop_assert!(bench.machine.member() < members);
            match step {
                Step::Open { from } => prop_assert!(listed && from == bench.machine.revision() + 1),
                Step::Read | Step::Probe | Step::Relist | Step::Barrier => prop_assert!(listed),
                _ => {}
            }
        }
    }
}
