//! How new and readmitted instances are eased in.

use std::time::Duration;

use lb_core::health::HealthState;
use lb_core::{Failure, Instance, OutlierDetection, SlowStart};

use crate::lab::{Lab, MS, SECOND, config, exact, id};
use crate::traffic::Traffic;

const WINDOW: Duration = Duration::from_secs(60);

fn lab(n: usize) -> Lab {
    Lab::new(n, config(exact(), SlowStart::over(WINDOW)), 7)
}

/// The share of `h9`, in percent, of its fair share, in the requests of the next second.
fn share(lab: &Lab, n: usize) -> f64 {
    let traffic = Traffic { lab, per_second: 5_000, lasts: SECOND };
    traffic.run(|_, _| (Some(MS), None)).share("h9", Duration::ZERO) * n as f64
}

#[test]
fn a_new_instance_gets_a_growing_share() {
    let lab = lab(3);
    assert_eq!(lab.ill(), [""; 0], "those of the beginning are not new");
    lab.set_more(3, "h9");
    assert_eq!(lab.health("h9"), HealthState::SlowStart);
    // Against three at their whole share: 4 · r / (3 + r).
    for (after, ramp) in [(6.0, 0.1), (15.0, 0.25), (30.0, 0.5), (45.0, 0.75)] {
        let at = Duration::from_secs_f64(after) + SECOND;
        lab.wait_until(at);
        let (got, expected) = (share(&lab, 4), 100.0 * 4.0 * ramp / (3.0 + ramp));
        assert!((got - expected).abs() < 6.0, "after {after} s: {got} instead of {expected}");
    }
    lab.wait(WINDOW);
    assert!((share(&lab, 4) - 100.0).abs() < 1.0);
    assert_eq!(lab.ill(), [""; 0]);
}

#[test]
fn weights_and_slow_start_multiply() {
    let lab = lab(0);
    lab.set((0..3).map(|n| Instance::new(id(n)).with_weight(2)));
    lab.set_more_weighing(3, "h9", 6);
    lab.wait(30 * SECOND);
    let got = share(&lab, 1);
    assert!((got - 33.3).abs() < 3.0, "6 · 0.5 of 6 + 6 · 0.5: {got} %");
}

#[test]
fn if_all_are_new_none_is_eased_in() {
    let lab = lab(2);
    lab.set([Instance::new("h9"), Instance::new("h8")]);
    assert!((share(&lab, 2) - 100.0).abs() < 1.0);
}

#[test]
fn who_is_eased_in_is_taken_if_nobody_else_is_there() {
    let lab = lab(1);
    lab.set_more(1, "h9");
    lab.request("h0", Some(Failure::service().with_retry_after(WINDOW)));
    assert!((0..100).all(|_| lab.pick().is_ok_and(|lease| &**lease.member().id() == "h9")));
}

#[test]
fn who_is_readmitted_is_eased_in() {
    let lab = lab(3);
    lab.fail("h0", 5);
    lab.wait(30 * SECOND);
    lab.ok("h0", 1);
    assert_eq!(lab.health("h0"), HealthState::SlowStart);
    let traffic = Traffic { lab: &lab, per_second: 5_000, lasts: SECOND };
    let got = traffic.run(|_, _| (Some(MS), None)).share("h0", Duration::ZERO);
    assert!((got - 4.8).abs() < 1.0, "a tenth against two wholes: {got} %");
}

#[test]
fn off_by_default() {
    let lab = Lab::new(3, config(OutlierDetection::DEFAULT, SlowStart::OFF), 7);
    lab.set_more(3, "h9");
    assert_eq!(lab.ill(), [""; 0]);
    assert!((share(&lab, 4) - 100.0).abs() < 1.0);
}

#[test]
fn switching_it_off_ends_it() {
    let lab = lab(3);
    lab.set_more(3, "h9");
    lab.configure(config(exact(), SlowStart::OFF));
    assert!((share(&lab, 4) - 100.0).abs() < 1.0);
    assert_eq!(lab.ill(), [""; 0]);
}
