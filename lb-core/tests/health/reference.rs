//! What other implementations' tests expect of the detectors, on a whole pool.

use lb_core::health::HealthState;
use lb_core::{Failure, FailurePercentageEjection, OutlierDetection};

use crate::lab::{Lab, SECOND, exact_but, id};

/// Only the detectors of gRFC A50, with intervals of 10 s.
fn a50(change: impl FnOnce(&mut OutlierDetection)) -> OutlierDetection {
    exact_but(|d| {
        d.consecutive_failures = 0;
        d.min_success_rate = 0.0;
        d.success_rate.margin = 0.0;
        d.success_rate.enforcement = 0;
        d.failure_percentage.enforcement = 0;
        change(d);
    })
}

fn failure_percentage(change: impl FnOnce(&mut FailurePercentageEjection)) -> OutlierDetection {
    a50(|d| {
        d.failure_percentage.enforcement = 100;
        d.failure_percentage.threshold = 50;
        d.failure_percentage.min_hosts = 3;
        d.failure_percentage.min_requests = 3;
        change(&mut d.failure_percentage);
    })
}

/// One of three instances fails all of its three requests within an interval. Who is ejected at its end?
fn one_of_three(detection: OutlierDetection) -> Vec<String> {
    let lab = Lab::with(3, detection);
    lab.pool.tick(lab.now());
    lab.fail("h0", 3);
    lab.ok("h1", 3);
    lab.ok("h2", 3);
    assert_eq!(lab.ill(), [""; 0], "not before the interval ends");
    lab.wait(10 * SECOND);
    lab.pool.tick(lab.now());
    let stats = lab.stats();
    let ejected = stats.instances.iter().filter(|i| i.health == HealthState::Ejected);
    ejected.map(|i| i.id.to_string()).collect()
}

#[test]
fn failure_percentage_as_in_grpc_go() {
    assert_eq!(one_of_three(failure_percentage(|_| ())), ["h0"]);
    assert_eq!(one_of_three(failure_percentage(|f| f.enforcement = 0)), [""; 0]);
    let mut nobody = failure_percentage(|_| ());
    nobody.max_ejection_percent = Some(0);
    assert_eq!(one_of_three(nobody), [""; 0]);
    assert_eq!(one_of_three(failure_percentage(|f| f.min_requests = 4)), [""; 0]);
    assert_eq!(one_of_three(failure_percentage(|f| f.min_hosts = 4)), [""; 0]);
}

#[test]
fn ejected_at_one_tick_and_back_at_the_next_as_in_grpc_core() {
    let mut detection = failure_percentage(|_| ());
    detection.base_ejection_time = SECOND;
    detection.max_ejection_time = SECOND;
    let lab = Lab::with(3, detection);
    lab.pool.tick(lab.now());
    lab.fail("h0", 3);
    lab.ok("h1", 3);
    lab.ok("h2", 3);
    lab.wait(10 * SECOND);
    lab.pool.tick(lab.now());
    assert_eq!(lab.picked(), ["h1", "h2"]);
    lab.wait(10 * SECOND);
    lab.pool.tick(lab.now());
    lab.ok("h0", 1);
    assert_eq!((lab.ill(), lab.picked()), (vec![], vec![id(0), id(1), id(2)]));
}

#[test]
fn success_rate_as_in_envoy() {
    // Rates 50, 100, 100, 100, 100: mean 90, threshold 52 with the factor 1.9.
    for (factor, ejected) in [(1.9, true), (2.1, false)] {
        let lab = Lab::with(
            5,
            a50(|d| {
                d.success_rate.enforcement = 100;
                d.success_rate.stdev_factor = factor;
            }),
        );
        lab.pool.tick(lab.now());
        for _ in 0..50 {
            lab.fail("h0", 1);
            lab.ok("h0", 1);
        }
        (1..5).for_each(|n| lab.ok(&id(n), 100));
        lab.wait(10 * SECOND);
        lab.pool.tick(lab.now());
        let expected = if ejected { HealthState::Ejected } else { HealthState::Healthy };
        assert_eq!(lab.health("h0"), expected, "factor {factor}");
        assert!(lab.ill().iter().all(|id| id == "h0"));
    }
}

#[test]
fn failures_end_an_interval_without_a_tick() {
    let lab = Lab::with(3, failure_percentage(|_| ()));
    for _ in 0..12 {
        lab.fail("h0", 3);
        lab.ok("h1", 3);
        lab.ok("h2", 3);
        lab.wait(SECOND);
    }
    assert_eq!(lab.ill(), ["h0"]);
}

#[test]
fn an_interval_that_nobody_ended_in_time_is_not_judged() {
    let lab = Lab::with(3, failure_percentage(|_| ()));
    lab.fail("h0", 3);
    lab.ok("h1", 3);
    lab.ok("h2", 3);
    lab.wait(1000 * SECOND);
    lab.request("h1", Some(Failure::service()));
    assert_eq!(lab.ill(), [""; 0]);
}
