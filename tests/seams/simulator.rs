//! A discrete-event loop that drives the production pool, pickers and retry plan under a clock of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use loadbalance::OutlierDetection;
use loadbalance::decide::{
    Lease, Next, Pool, PoolContext, RandomSource, RetryPlan, SeededRandom, Stop, Time,
};
use loadbalance::prelude::*;
use loadbalance::registry::{Entries, Entry, Snapshot};
use loadbalance::strategy::{Outcome, PickRequest};

const CALLS: usize = 20_000;

struct Call {
    plan: RetryPlan,
    running: Option<(Lease<Instance>, Time)>,
}

/// One of five hosts fails every second request; each takes 1 to 9 ms.
fn simulate(seed: u64, detection: OutlierDetection) -> (usize, usize, Time) {
    let random = SeededRandom::new(seed);
    let start = Time::after_origin(Duration::from_secs(1));
    let mut context = PoolContext::new();
    context.config = ServiceConfig::builder().outlier_detection(detection).build().unwrap();
    let pool = Pool::new("s", Arc::new(context), start);
    let hosts = (0..5).map(|n| Arc::new(Entry::new(Instance::new(format!("h{n}")), Revision::new(1))));
    let snapshot = Arc::new(Snapshot::new(hosts.collect::<Entries<_>>(), None, Revision::new(1)));
    pool.apply(|| snapshot.clone(), start);
    let mut events: BinaryHeap<_> =
        (0..CALLS).map(|n| Reverse((start + Duration::from_micros(500) * n as u32, n))).collect();
    let policy = pool.policy();
    let mut calls: Vec<_> =
        events.iter().map(|_| Call { plan: RetryPlan::new(policy, start), running: None }).collect();
    let (mut ok, mut attempts, mut end) = (0, 0, start);
    while let Some(Reverse((now, n))) = events.pop() {
        end = now;
        let call = &mut calls[n];
        let mut next = Next::Attempt;
        if let Some((lease, began)) = call.running.take() {
            let member = lease.member();
            if &**member.id() == "h0" && random.below(2) == 0 {
                let failure = Failure::service();
                pool.record(member, &Outcome::failure(failure, now.since(began)), now);
                next = call.plan.failed(failure, member, &pool, now, &random);
            } else {
                pool.record(member, &Outcome::success(now.since(began)), now);
                ok += 1;
                continue;
            }
        }
        loop {
            match next {
                Next::Attempt => {
                    match pool.acquire(PickRequest::new(call.plan.exclusions()), &now, &random) {
                        Ok(lease) => {
                            attempts += 1;
                            call.plan.started(now);
                            call.running = Some((lease, now));
                            events
                                .push(Reverse((now + Duration::from_millis(1 + random.below(9) as u64), n)));
                            break;
                        }
                        Err(why) => next = call.plan.nobody(why, &pool, now, &random),
                    }
                }
                Next::Wait { until, .. } => {
                    events.push(Reverse((until, n)));
                    break;
                }
                Next::Stop(stop) => {
                    assert_eq!(stop, Stop::MaxRetries, "nothing else can happen here");
                    break;
                }
            }
        }
    }
    let stats = pool.stats(0, end);
    assert!(stats.instances.iter().all(|i| i.in_flight == 0));
    (ok, attempts, end)
}

#[test]
fn the_same_code_runs_under_a_simulated_clock() {
    let (ok, attempts, end) = simulate(7, OutlierDetection::OFF);
    assert_eq!(ok, CALLS);
    let wasted = attempts - CALLS;
    assert!((1_500..2_600).contains(&wasted), "a tenth of the requests fails on h0: {wasted}");
    assert_eq!((ok, attempts, end), simulate(7, OutlierDetection::OFF), "the same seed gives the same run");
    assert_ne!(attempts, simulate(8, OutlierDetection::OFF).1);
    let (ok, attempts, end) = simulate(7, OutlierDetection::DEFAULT);
    assert_eq!(ok, CALLS);
    assert!(attempts - CALLS < 50, "with outlier detection h0 is soon left out: {}", attempts - CALLS);
    assert_eq!((ok, attempts, end), simulate(7, OutlierDetection::DEFAULT));
}
