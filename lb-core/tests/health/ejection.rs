//! Who is ejected, and who is not.

use lb_core::health::{EjectionReason, HealthState};
use lb_core::member::RestReason;
use lb_core::pool::{Effect, NoPick};
use lb_core::{Failure, FailureKind, Instance, OutlierDetection, SlowStart};

use crate::lab::{Lab, SECOND, config, exact, exact_but};

#[test]
fn five_failures_in_a_row() {
    let lab = Lab::with(3, exact());
    let effects = lab.fail("h0", 5);
    assert_eq!(effects[..4], [Effect::None; 4]);
    assert_eq!(effects[4], Effect::Ejected(30 * SECOND));
    assert_eq!(lab.picked(), ["h1", "h2"]);
    let stats = lab.of("h0");
    assert_eq!((stats.health, stats.ejections), (HealthState::Ejected, 1));
    assert_eq!((stats.resting_for, stats.rest_reason), (Some(30 * SECOND), Some(RestReason::Ejected)));
    assert_eq!(stats.last_ejection, Some(EjectionReason::ConsecutiveFailures { failures: 5 }));
    assert_eq!((lab.stats().ejected, lab.stats().panic), (1, false));
}

#[test]
fn a_success_in_between_begins_the_row_anew() {
    let lab = Lab::with(3, exact_but(|d| d.min_success_rate = 0.0));
    for _ in 0..20 {
        lab.fail("h0", 4);
        lab.ok("h0", 1);
    }
    assert_eq!(lab.ill(), [""; 0]);
}

#[test]
fn too_low_a_success_rate() {
    let lab = Lab::with(2, exact());
    for _ in 0..2 {
        lab.fail("h0", 3);
        lab.ok("h0", 1);
    }
    lab.fail("h0", 2);
    assert_eq!(lab.health("h0"), HealthState::Ejected);
    let reason = lab.of("h0").last_ejection;
    assert!(matches!(reason, Some(EjectionReason::SuccessRate { requests: 10, .. })), "{reason:?}");
}

#[test]
fn only_faults_of_the_instance_count() {
    for kind in FailureKind::ALL.into_iter().filter(|kind| *kind != FailureKind::Unusable) {
        let lab = Lab::with(3, exact());
        lab.fail_with("h0", kind, 100);
        let ejected = lab.health("h0") != HealthState::Healthy;
        assert_eq!(ejected, kind.is_fault(), "{kind}");
    }
}

#[test]
fn one_of_two_but_never_both() {
    let lab = Lab::with(2, exact());
    lab.fail("h0", 5);
    lab.fail("h1", 5);
    assert_eq!((lab.health("h0"), lab.health("h1")), (HealthState::Ejected, HealthState::Failing));
    assert!(lab.stats().panic, "the last one fails, too");
    assert_eq!(lab.picked(), ["h0", "h1"], "so what is held against the other does not count");
    lab.ok("h1", 1);
    assert_eq!((lab.health("h1"), lab.stats().panic), (HealthState::Healthy, false));
    assert_eq!(lab.health("h0"), HealthState::Probing, "it may have failed with everybody: it gets a chance");
    lab.fail("h0", 1);
    assert_eq!((lab.health("h0"), lab.picked()), (HealthState::Ejected, vec!["h1".to_owned()]));
}

#[test]
fn the_only_one_is_never_ejected() {
    let lab = Lab::with(1, exact());
    lab.fail("h0", 100);
    assert_eq!((lab.health("h0"), lab.stats().panic), (HealthState::Failing, false));
    assert_eq!(lab.picked(), ["h0"]);
    lab.ok("h0", 1);
    assert_eq!(lab.health("h0"), HealthState::Healthy);
}

#[test]
fn not_more_than_the_maximum() {
    for (n, percent, most) in
        [(10, Some(30), 3), (10, None, 5), (10, Some(0), 0), (40, None, 10), (3, Some(1), 1)]
    {
        let lab = Lab::with(n, exact_but(|d| d.max_ejection_percent = percent));
        (0..n - 1).for_each(|n| _ = lab.fail(&crate::lab::id(n), 7));
        assert_eq!(lab.stats().ejected, most, "{n} instances, {percent:?} %");
    }
}

#[test]
fn a_place_that_becomes_free_is_taken() {
    let lab = Lab::with(2, exact());
    lab.fail("h0", 5);
    lab.fail("h1", 5);
    lab.ok("h0", 1);
    assert_eq!((lab.health("h0"), lab.health("h1")), (HealthState::Healthy, HealthState::Failing));
    lab.fail("h1", 1);
    assert_eq!((lab.health("h1"), lab.stats().panic), (HealthState::Ejected, false));
}

#[test]
fn repetition_makes_it_longer_until_it_has_done_well_for_a_while() {
    let lab = Lab::with(2, exact());
    let mut times = Vec::new();
    for _ in 0..3 {
        lab.fail("h0", 5);
        let time = lab.of("h0").resting_for.unwrap();
        times.push(time.as_secs());
        lab.wait(time);
        lab.ok("h0", 1);
    }
    lab.wait(20 * SECOND);
    lab.fail("h0", 5);
    times.push(lab.of("h0").resting_for.unwrap().as_secs());
    assert_eq!(times, [30, 60, 90, 60], "two of three forgotten, one more");
}

#[test]
fn when_those_who_were_left_leave_everybody_is_picked() {
    let lab = Lab::with(5, exact());
    lab.fail("h0", 5);
    lab.fail("h1", 5);
    assert_eq!(lab.picked(), ["h2", "h3", "h4"]);
    lab.retain(|id| id <= "h2");
    assert!(lab.stats().panic, "one of three is left");
    assert_eq!(lab.picked(), ["h0", "h1", "h2"]);
    lab.retain(|id| id <= "h1");
    assert_eq!(lab.picked(), ["h0", "h1"]);
    assert_eq!(lab.pool.available_at(1, lab.now()), Some(lab.now()), "nobody waits");
}

#[test]
fn without_panic_threshold_all_ejected_are_picked_all_the_same() {
    let lab = Lab::with(3, exact_but(|d| d.panic_threshold = 0));
    lab.fail("h0", 5);
    lab.retain(|id| id == "h0");
    assert_eq!(lab.picked(), ["h0"]);
}

#[test]
fn calls_fail_in_a_panic_if_that_is_wanted() {
    let lab = Lab::with(4, exact_but(|d| d.fail_on_panic = true));
    lab.fail("h0", 5);
    lab.fail("h1", 5);
    lab.retain(|id| id <= "h2");
    assert!(lab.stats().panic);
    assert_eq!(lab.picked(), ["h2"], "who is left is used");
    lab.retain(|id| id <= "h1");
    assert_eq!(lab.pick().err(), Some(NoPick::AllEjected));
    assert_eq!(lab.pool.available_at(1, lab.now()).map(|at| at > lab.now()), Some(true));
    lab.wait(30 * SECOND);
    let probe = lab.pick().unwrap();
    let other = lab.pick().unwrap();
    assert_ne!(probe.member().id(), other.member().id(), "one probe each");
    assert_eq!(lab.pick().err(), Some(NoPick::AllEjected));
    let id = probe.member().id().to_string();
    let began = lab.now();
    lab.wait(SECOND);
    lab.end(probe, began, None);
    assert_eq!(lab.picked(), [id]);
}

#[test]
fn a_call_that_has_tried_all_others_tries_the_ejected_one() {
    let lab = Lab::with(3, exact());
    lab.fail("h0", 5);
    let mut tried = lb_core::strategy::Exclusions::new();
    let mut order = Vec::new();
    for _ in 0..3 {
        let request = lb_core::strategy::PickRequest::new(&tried);
        let lease = lab.pool.acquire(request, &lab.now(), &lab.random).unwrap();
        order.push(lease.member().id().to_string());
        tried.exclude(lease.member(), false);
    }
    assert_eq!(order[2], "h0", "{order:?}");
}

#[test]
fn what_began_before_the_ejection_proves_nothing() {
    let lab = Lab::with(3, exact());
    let began = lab.now();
    let early: Vec<_> = (0..10).map(|_| lab.lease("h0")).collect();
    lab.wait(SECOND);
    lab.fail("h0", 5);
    let until = lab.of("h0").resting_for;
    for (n, lease) in early.into_iter().enumerate() {
        lab.end(lease, began, (n > 0).then(Failure::timeout));
    }
    assert_eq!(lab.health("h0"), HealthState::Ejected, "an early success does not bring it back");
    assert_eq!(
        (lab.of("h0").resting_for, lab.of("h0").ejections),
        (until, 1),
        "nor do early failures prolong it"
    );
}

#[test]
fn late_failures_of_before_do_not_eject_who_is_back() {
    let lab = Lab::with(3, exact());
    let began = lab.now();
    let early: Vec<_> = (0..10).map(|_| lab.lease("h0")).collect();
    lab.fail("h0", 5);
    lab.wait(30 * SECOND);
    lab.ok("h0", 1);
    assert_eq!(lab.health("h0"), HealthState::Healthy);
    for lease in early {
        lab.end(lease, began, Some(Failure::timeout()));
    }
    assert_eq!(lab.health("h0"), HealthState::Healthy);
}

#[test]
fn a_new_registration_is_a_pardon_and_a_change_of_others_is_not() {
    let lab = Lab::with(3, exact());
    lab.fail("h0", 5);
    lab.retain(|id| id != "h2");
    assert_eq!(lab.health("h0"), HealthState::Ejected);
    lab.set((0..3).map(|n| Instance::new(crate::lab::id(n)).with_metadata("version", "2")));
    assert_eq!((lab.ill(), lab.stats().ejected), (Vec::new(), 0));
    assert_eq!((lab.of("h0").ejections, lab.of("h0").failures["service"]), (1, 5), "counters stay");
}

#[test]
fn switching_it_off_readmits_everybody() {
    let lab = Lab::with(4, exact());
    lab.fail("h0", 5);
    lab.fail("h1", 5);
    lab.configure(config(OutlierDetection::OFF, SlowStart::OFF));
    assert_eq!((lab.ill(), lab.stats().ejected), (Vec::new(), 0));
    lab.fail("h0", 100);
    assert_eq!(lab.ill(), [""; 0]);
    lab.configure(config(exact(), SlowStart::OFF));
    lab.fail("h0", 5);
    assert_eq!(lab.ill(), ["h0"]);
}
