//! How an ejected instance comes back.

use lb_core::Failure;
use lb_core::health::HealthState;
use lb_core::pool::Effect;

use crate::lab::{Lab, MS, SECOND, exact, id};
use crate::traffic::Traffic;

#[test]
fn one_probe_at_a_time_and_a_success_readmits() {
    let lab = Lab::with(3, exact());
    lab.fail("h0", 5);
    lab.wait((30 * SECOND).saturating_sub(MS));
    assert_eq!(lab.picked(), ["h1", "h2"]);
    lab.wait(MS);
    assert_eq!(lab.health("h0"), HealthState::Probing);
    let (leases, began): (Vec<_>, _) = ((0..30).map(|_| lab.pick().unwrap()).collect(), lab.now());
    let probes = leases.iter().filter(|lease| &**lease.member().id() == "h0").count();
    assert_eq!(probes, 1);
    lab.wait(SECOND);
    for lease in leases {
        lab.end(lease, began, None);
    }
    assert_eq!(lab.health("h0"), HealthState::Healthy);
    assert_eq!(lab.picked(), ["h0", "h1", "h2"]);
}

#[test]
fn a_failed_probe_ejects_for_longer() {
    let lab = Lab::with(3, exact());
    lab.fail("h0", 5);
    let mut times = Vec::new();
    for _ in 0..11 {
        let time = lab.of("h0").resting_for.unwrap();
        times.push(time.as_secs());
        lab.wait(time);
        assert_eq!(lab.health("h0"), HealthState::Probing);
        assert_eq!(lab.fail("h0", 1), [Effect::Ejected((time + 30 * SECOND).min(300 * SECOND))]);
    }
    assert_eq!(times, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300]);
}

#[test]
fn a_probe_that_proves_nothing_makes_room_for_the_next() {
    let lab = Lab::with(2, exact());
    lab.fail("h0", 5);
    lab.wait(30 * SECOND);
    for failure in [Failure::limit_exceeded(), Failure::limit_exceeded()] {
        lab.request("h0", Some(failure));
        assert_eq!(lab.health("h0"), HealthState::Probing);
    }
    lab.request("h0", Some(Failure::rejected()));
    assert_eq!(lab.health("h0"), HealthState::Healthy, "who turns a request down has understood it");
}

#[test]
fn a_probe_that_never_ends_does_not_block_for_ever() {
    let lab = Lab::with(2, exact());
    lab.fail("h0", 5);
    lab.wait(30 * SECOND);
    let hung: Vec<_> = (0..4).map(|_| lab.pick().unwrap()).collect();
    assert_eq!(lab.picked(), ["h1"]);
    lab.wait(30 * SECOND);
    assert_eq!(lab.picked(), ["h0", "h1"], "another probe");
    drop(hung);
}

#[test]
fn a_quota_that_refuses_the_probe_does_not_use_it_up() {
    let lab = Lab::with(0, exact());
    let limits = lb_core::Limits::NONE.concurrency(1);
    lab.set((0..2).map(|n| lb_core::Instance::new(id(n)).with_limits(limits)));
    let held = lab.lease("h0");
    let began = lab.now();
    lab.fail_held("h0", began, 5);
    lab.wait(30 * SECOND);
    assert_eq!(lab.picked(), ["h1"], "no room on h0");
    drop(held);
    assert_eq!(lab.picked(), ["h0", "h1"]);
}

#[test]
fn who_recovers_is_back_after_its_time() {
    for n in [2, 3, 10] {
        let lab = Lab::with(n, exact());
        let traffic = Traffic { lab: &lab, per_second: 100, lasts: 60 * SECOND };
        let report =
            traffic.run(|on, at| (Some(5 * MS), (on == "h0" && at < 10 * SECOND).then(Failure::service)));
        assert_eq!(lab.ill(), [""; 0]);
        let share = report.share("h0", 35 * SECOND) * n as f64;
        assert!((90.0..110.0).contains(&share), "{n} instances: {share} % of its share");
    }
}

#[test]
fn waiting_calls_know_when_somebody_comes_back() {
    let lab = Lab::with(2, exact());
    lab.fail("h0", 5);
    lab.request("h1", Some(Failure::service().with_retry_after(100 * SECOND)));
    let back = lab.of("h0").resting_for.unwrap();
    assert_eq!(lab.pool.available_at(1, lab.now()), Some(lab.now() + back));
    lab.wait(back);
    assert_eq!(lab.pool.available_at(1, lab.now()), Some(lab.now()));
    let probe = lab.pick().unwrap();
    assert_eq!(&**probe.member().id(), "h0");
    let rest = lab.of("h1").resting_for.unwrap();
    assert_eq!(lab.pool.available_at(1, lab.now()), Some(lab.now() + rest), "it depends on the probe");
    drop(probe);
}
