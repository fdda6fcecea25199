//! Instances that say that they can serve nobody.

use lb_core::health::HealthState;
use lb_core::member::RestReason;
use lb_core::pool::Effect;
use lb_core::{Failure, FailureKind};

use crate::lab::{Lab, MS, SECOND, exact};

#[test]
fn longer_each_time_up_to_an_hour_and_probed_in_between() {
    let lab = Lab::with(2, exact());
    lab.request("h0", Some(Failure::unusable()));
    let mut times = Vec::new();
    for _ in 0..8 {
        let time = lab.of("h0").resting_for.unwrap();
        assert_eq!(
            (lab.health("h0"), lab.of("h0").rest_reason),
            (HealthState::SetAside, Some(RestReason::Unusable))
        );
        times.push(time.as_secs() / 60);
        lab.wait(time.saturating_sub(MS));
        assert_eq!(lab.picked(), ["h1"]);
        lab.wait(MS);
        assert_eq!(lab.health("h0"), HealthState::Probing);
        lab.request("h0", Some(Failure::unusable()));
    }
    assert_eq!(times, [1, 2, 4, 8, 16, 32, 60, 60]);
    lab.wait(3600 * SECOND);
    lab.ok("h0", 1);
    assert_eq!(lab.picked(), ["h0", "h1"]);
    let again = lab.request("h0", Some(Failure::unusable()));
    assert_eq!(again, Effect::SetAside(60 * SECOND), "a success has wiped it out");
}

#[test]
fn one_request_probes_and_a_fault_is_no_better() {
    let lab = Lab::with(2, exact());
    lab.request("h0", Some(Failure::unusable()));
    lab.wait(60 * SECOND);
    let leases: Vec<_> = (0..20).map(|_| lab.pick().unwrap()).collect();
    assert_eq!(leases.iter().filter(|lease| &**lease.member().id() == "h0").count(), 1);
    let began = lab.now();
    for lease in leases {
        let failure = (&**lease.member().id() == "h0").then(Failure::service);
        lab.end(lease, began, failure);
    }
    assert_eq!(lab.of("h0").resting_for, Some(120 * SECOND));
}

#[test]
fn answers_to_requests_under_way_count_once() {
    let lab = Lab::with(2, exact());
    let began = lab.now();
    let leases: Vec<_> = (0..10).map(|_| lab.lease("h0")).collect();
    lab.wait(SECOND);
    for lease in leases {
        lab.end(lease, began, Some(Failure::unusable()));
    }
    assert_eq!(lab.of("h0").resting_for, Some(60 * SECOND), "ten answers, one bad key");
}

#[test]
fn it_asks_for_more_time_than_that() {
    let lab = Lab::with(2, exact());
    lab.request("h0", Some(Failure::unusable().with_retry_after(86_400 * SECOND)));
    assert_eq!(lab.of("h0").resting_for, Some(86_400 * SECOND));
}

#[test]
fn no_panic_lets_anybody_use_a_bad_key() {
    let lab = Lab::with(3, exact());
    (0..3).for_each(|n| lab.fail_with(&crate::lab::id(n), FailureKind::Unusable, 1));
    assert!(!lab.stats().panic);
    assert!(lab.pick().is_err());
    let first = lab.of("h0").resting_for.unwrap();
    assert_eq!(lab.pool.available_at(1, lab.now()), Some(lab.now() + first));
}

#[test]
fn the_maximum_is_measured_by_those_that_are_usable() {
    let lab = Lab::with(4, exact());
    lab.fail_with("h0", FailureKind::Unusable, 1);
    lab.fail_with("h1", FailureKind::Unusable, 1);
    lab.fail("h2", 5);
    lab.fail("h3", 5);
    assert_eq!((lab.stats().ejected, lab.health("h3")), (1, HealthState::Failing), "one of two");
}

#[test]
fn an_ejected_instance_may_turn_out_to_be_unusable() {
    let lab = Lab::with(3, exact());
    lab.fail("h0", 5);
    lab.wait(30 * SECOND);
    lab.request("h0", Some(Failure::unusable()));
    assert_eq!((lab.health("h0"), lab.stats().ejected), (HealthState::SetAside, 0));
}
