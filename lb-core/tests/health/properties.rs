//! What holds whatever happens.

use std::time::Duration;

use lb_core::health::HealthState;
use lb_core::member::Lease;
use lb_core::strategy::Outcome;
use lb_core::{Failure, FailureKind, Instance, OutlierDetection, ServiceConfig, SlowStart, Time};
use proptest::prelude::*;

use crate::lab::{Lab, MS, SECOND, config};
use crate::traffic::Traffic;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// The n-th of the requests in flight ends.
    End(usize, Option<FailureKind>),
    Cancel(usize),
    Wait(u64),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    // What rests or sets aside is left out: then nobody may be there, and rightly so.
    let kinds = vec![
        FailureKind::Timeout,
        FailureKind::Service,
        FailureKind::Unreachable,
        FailureKind::LimitExceeded,
        FailureKind::Unsuitable,
        FailureKind::Rejected,
    ];
    let end = prop::option::weighted(0.8, prop::sample::select(kinds));
    prop_oneof![
        5 => Just(Step::Begin),
        4 => (0_usize..64, end).prop_map(|(n, kind)| Step::End(n, kind)),
        1 => (0_usize..64).prop_map(Step::Cancel),
        2 => (0_u64..8_000).prop_map(Step::Wait),
        1 => Just(Step::Tick),
    ]
}

fn detection() -> impl Strategy<Value = OutlierDetection> {
    (
        (0_u32..6, 0.0..=1.0_f64, 1_u32..12),
        (1_u64..60, 1_u64..120, 0.0..=1.0_f64),
        (prop::option::of(0_u32..=100), 0_u32..=100),
        (1_u32..6, 0_u32..=100, 1_u32..20),
    )
        .prop_map(
            |(
                (consecutive, rate, requests),
                (base, max, jitter),
                (percent, panic),
                (hosts, fails, volume),
            )| {
                let mut d = OutlierDetection::DEFAULT;
                (d.consecutive_failures, d.min_success_rate, d.min_requests) = (consecutive, rate, requests);
                d.base_ejection_time = Duration::from_secs(base);
                d.max_ejection_time = Duration::from_secs(max);
                (d.jitter, d.max_ejection_percent, d.panic_threshold) = (jitter, percent, panic);
                (d.failure_percentage.min_hosts, d.failure_percentage.threshold) = (hosts, fails);
                (d.success_rate.min_hosts, d.success_rate.min_requests) = (hosts, volume);
                d.failure_percentage.min_requests = volume;
                d
            },
        )
}

/// As documented.
fn most(n: usize, d: &OutlierDetection) -> usize {
    let most = match d.max_ejection_percent {
        Some(0) => return 0,
        Some(percent) => n * percent as usize / 100,
        None => n / 2,
    };
    most.max(1).min(n - 1)
}

fn end(lab: &Lab, (lease, began): (Lease<Instance>, Time), kind: Option<FailureKind>) {
    lab.end(lease, began, kind.map(Failure::new));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn somebody_is_always_left_and_everybody_comes_back(
        n in 1_usize..8, detection in detection(), script in prop::collection::vec(step(), 0..400), seed in any::<u64>(),
    ) {
        let lab = Lab::new(n, config(detection, SlowStart::OFF), seed);
        let (most, longest) = (most(n, &detection), detection.base_ejection_time.max(detection.max_ejection_time));
        let mut running = Vec::new();
        for step in script {
            match step {
                Step::Begin => {
                    let lease = lab.pick();
                    prop_assert!(lease.is_ok(), "nobody to pick: {:?}", lab.stats());
                    running.push((lease.unwrap(), lab.now()));
                }
                Step::End(k, kind) if !running.is_empty() => {
                    let k = k % running.len();
                    end(&lab, running.swap_remove(k), kind);
                }
                Step::Cancel(k) if !running.is_empty() => {
                    let (lease, began) = running.swap_remove(k % running.len());
                    let member = lease.member().clone();
                    lab.pool.record(&member, &Outcome::cancelled(lab.now().since(began)), lab.now());
                }
                Step::Wait(ms) => lab.wait(Duration::from_millis(ms)),
                Step::Tick => lab.pool.tick(lab.now()),
                Step::End(..) | Step::Cancel(_) => {}
            }
            let stats = lab.stats();
            let out = |i: &&lb_core::pool::InstanceStats| {
                matches!(i.health, HealthState::Ejected | HealthState::Probing)
            };
            prop_assert_eq!(stats.instances.iter().filter(out).count(), stats.ejected);
            prop_assert!(stats.ejected <= most, "{} of {n} ejected, {most} allowed", stats.ejected);
            prop_assert!(stats.ejected < n);
            for instance in &stats.instances {
                if let Some(left) = instance.resting_for {
                    prop_assert!(left <= longest, "{left:?}");
                    prop_assert_eq!(instance.health, HealthState::Ejected);
                }
            }
        }
        // From here on everybody does well.
        while let Some(request) = running.pop() {
            end(&lab, request, None);
        }
        let lasts = longest + detection.base_ejection_time + 5 * SECOND;
        let report = Traffic { lab: &lab, per_second: 20, lasts }.run(|_, _| (Some(MS), None));
        prop_assert_eq!(report.gave_up, 0);
        prop_assert_eq!(lab.ill(), [""; 0]);
        prop_assert!(!lab.stats().panic);
    }

    /// The same set of numbers whatever comes and goes: what is counted is what is there.
    #[test]
    fn the_books_stay_right_while_the_set_changes(
        changes in prop::collection::vec((0_u8..4, 0_usize..5), 1..60), seed in any::<u64>(),
    ) {
        let lab = Lab::new(5, ServiceConfig::default(), seed);
        for (what, k) in changes {
            let id = crate::lab::id(k);
            match what {
                0 => lab.retain(|other| other != id),
                1 => lab.set((0..=k).map(|n| Instance::new(crate::lab::id(n)))),
                2 if lab.pool.member(&id).is_some() => drop(lab.fail(&id, 5)),
                2 => {}
                _ => lab.wait(10 * SECOND),
            }
            let stats = lab.stats();
            let here = stats.instances.iter().filter(|i| i.state.is_some());
            let out = here.filter(|i| matches!(i.health, HealthState::Ejected | HealthState::Probing)).count();
            prop_assert_eq!(out, stats.ejected);
            prop_assert_eq!(lab.pick().is_err(), lab.pool.is_empty());
        }
    }
}
