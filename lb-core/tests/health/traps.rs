//! Instances that attract, or hold, the traffic that they cannot serve.

use std::time::Duration;

use lb_core::{Failure, OutlierDetection, ServiceConfig, SlowStart};

use crate::lab::{Lab, MS, SECOND, config, id};
use crate::traffic::Traffic;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_black_hole_gets_less_than_a_hundredth() {
    for (n, seed) in [2, 3, 5, 10].into_iter().flat_map(|n| (0..5).map(move |seed| (n, seed))) {
        let lab = Lab::new(n, ServiceConfig::default(), seed);
        let traffic = Traffic { lab: &lab, per_second: 300, lasts: MINUTE };
        let report = traffic.run(|on, _| {
            if on == "h0" {
                (Some(MS), Some(Failure::service()))
            } else {
                (Some(traffic.about(50 * MS)), None)
            }
        });
        let share = report.share("h0", SECOND);
        println!("black hole among {n}, seed {seed}: {share:.3} % after the first second");
        assert!(share <= 0.1, "{n} instances, seed {seed}: {share} %");
        assert_eq!((report.gave_up, report.took.len()), (0, 300 * 60));
        let slowest = report.took.iter().map(|(_, took)| *took).max().unwrap();
        assert!(slowest < 100 * MS, "a failed attempt goes elsewhere at once: {slowest:?}");
    }
}

#[test]
fn a_hung_instance_gets_less_than_a_hundredth_once_it_is_detected() {
    let hangs = ServiceConfig::builder().attempt_timeout(SECOND).build().unwrap();
    for (n, seed) in [2, 3, 5, 10].into_iter().flat_map(|n| (0..5).map(move |seed| (n, seed))) {
        let lab = Lab::new(n, hangs.clone(), seed);
        let traffic = Traffic { lab: &lab, per_second: 300, lasts: MINUTE };
        let report =
            traffic.run(|on, _| if on == "h0" { (None, None) } else { (Some(traffic.about(50 * MS)), None) });
        // The first attempts time out after one second; five of them are enough.
        let share = report.share("h0", SECOND + 200 * MS);
        println!("hung among {n}, seed {seed}: {share:.3} % after detection");
        assert!(share <= 0.1, "{n} instances, seed {seed}: {share} %");
        assert_eq!(report.gave_up, 0);
    }
}

#[test]
fn without_detection_both_get_their_turn() {
    let lab = Lab::with(2, OutlierDetection::OFF);
    let traffic = Traffic { lab: &lab, per_second: 300, lasts: 10 * SECOND };
    let report = traffic
        .run(|on, _| if on == "h0" { (Some(MS), Some(Failure::service())) } else { (Some(50 * MS), None) });
    assert!(report.share("h0", SECOND) > 30.0);
}

#[test]
fn an_instance_that_fails_half_of_its_requests_is_found_among_few() {
    for seed in 0..5 {
        let lab = Lab::new(3, ServiceConfig::default(), seed);
        let traffic = Traffic { lab: &lab, per_second: 300, lasts: MINUTE };
        let mut n = 0;
        let report = traffic.run(|on, _| {
            n += usize::from(on == "h0");
            let failure = (on == "h0" && n % 5 < 3).then(Failure::service);
            (Some(traffic.about(5 * MS)), failure)
        });
        let share = report.share("h0", SECOND);
        assert!(share < 3.0, "seed {seed}: 60 % failures, {share} % of the attempts");
    }
}

#[test]
fn an_instance_that_fails_a_fifth_of_its_requests_is_found_among_many() {
    for seed in 0..5 {
        let lab = Lab::new(10, ServiceConfig::default(), seed);
        let traffic = Traffic { lab: &lab, per_second: 1000, lasts: MINUTE };
        let mut n = 0;
        let report = traffic.run(|on, _| {
            n += usize::from(on == "h0");
            let failure = (on == "h0" && n % 5 == 0).then(Failure::service);
            (Some(traffic.about(5 * MS)), failure)
        });
        let share = report.share("h0", 11 * SECOND);
        assert!(share < 5.0, "seed {seed}: {share} %: out of {:?}", report.counts(11 * SECOND));
    }
}

#[test]
fn when_everything_fails_nothing_is_left_out_and_recovery_takes_no_time() {
    for n in [2, 3, 10] {
        let lab = Lab::with(n, OutlierDetection::DEFAULT);
        let traffic = Traffic { lab: &lab, per_second: 300, lasts: 20 * SECOND };
        // What all depend on is down from the fifth to the tenth second.
        let report = traffic.run(|_, at| {
            let down = (5 * SECOND..10 * SECOND).contains(&at);
            (Some(traffic.about(5 * MS)), down.then(Failure::service))
        });
        let counts = report.counts(11 * SECOND);
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(counts.len() == n && least * 10 > most * 9, "{n} instances: {counts:?}");
        assert!(!lab.stats().panic && lab.ill().is_empty(), "{:?}", lab.ill());
    }
}

#[test]
fn a_burst_of_refusals_ejects_nobody() {
    let lab = Lab::with(3, OutlierDetection::DEFAULT);
    let traffic = Traffic { lab: &lab, per_second: 300, lasts: MINUTE };
    let kinds = [Failure::limit_exceeded(), Failure::rejected(), Failure::unsuitable()];
    let mut n = 0;
    let report = traffic.run(|_, _| {
        n += 1;
        (Some(MS), (n % 10 != 0).then(|| kinds[n % 3]))
    });
    assert_eq!(lab.ill(), [""; 0]);
    assert!(lab.stats().instances.iter().all(|i| i.ejections == 0));
    assert_eq!(report.counts(Duration::ZERO).len(), 3);
}

#[test]
fn an_ejected_key_attracts_nobody_while_the_others_are_busy() {
    // A key whose account is broken, and others that are used to their limits.
    let lab = Lab::new(0, config(OutlierDetection::DEFAULT, SlowStart::OFF), 7);
    let limits = lb_core::Limits::NONE.concurrency(2);
    lab.set((0..3).map(|n| lb_core::Instance::new(id(n)).with_limits(limits)));
    let traffic = Traffic { lab: &lab, per_second: 30, lasts: MINUTE };
    let report = traffic
        .run(|on, _| if on == "h0" { (Some(MS), Some(Failure::service())) } else { (Some(200 * MS), None) });
    let share = report.share("h0", SECOND);
    assert!(share < 1.0, "calls wait for those that work: {share} %");
}
