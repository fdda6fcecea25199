//! Calls at a steady rate through the real pool and the real retry plan, under a clock of their own: [`Traffic`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use lb_core::member::Lease;
use lb_core::plan::{Next, RetryPlan};
use lb_core::strategy::{Outcome, PickRequest};
use lb_core::{Failure, Instance, RandomSource, Time};

use crate::lab::{Lab, SECOND};

/// How an instance answers: after how long (`None`: never), and with what.
pub(crate) type Answer = (Option<Duration>, Option<Failure>);

pub(crate) struct Traffic<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) per_second: u32,
    pub(crate) lasts: Duration,
}

/// What came of it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// When and on whom attempts began.
    pub(crate) attempts: Vec<(Duration, String)>,
    /// How long each call took that ended well, by when it began.
    pub(crate) took: Vec<(Duration, Duration)>,
    pub(crate) gave_up: usize,
}

impl Report {
    /// The share of the attempts on `id`, in percent, of those that began after `from`.
    pub(crate) fn share(&self, id: &str, from: Duration) -> f64 {
        let later: Vec<_> = self.attempts.iter().filter(|(at, _)| *at >= from).collect();
        100.0 * later.iter().filter(|(_, on)| on == id).count() as f64 / later.len() as f64
    }

    /// Attempts by instance, of those that began after `from`.
    pub(crate) fn counts(&self, from: Duration) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, id) in self.attempts.iter().filter(|(at, _)| *at >= from) {
            *counts.entry(id.clone()).or_default() += 1;
        }
        counts
    }
}

struct Call {
    plan: RetryPlan,
    began: Time,
    running: Option<Running>,
}

struct Running {
    lease: Lease<Instance>,
    began: Time,
    outcome: Outcome,
}

impl Traffic<'_> {
    /// Runs it. `answer` is asked at the beginning of each attempt.
    pub(crate) fn run(&self, mut answer: impl FnMut(&str, Duration) -> Answer) -> Report {
        let (pool, random, start) = (&*self.lab.pool, &self.lab.random, self.lab.now());
        let total = (self.lasts.as_secs_f64() * f64::from(self.per_second)) as usize;
        let mut events: BinaryHeap<_> =
            (0..total).map(|n| Reverse((start + (SECOND / self.per_second) * n as u32, n))).collect();
        let mut calls: BTreeMap<usize, Call> = BTreeMap::new();
        let mut report = Report::default();
        while let Some(Reverse((now, n))) = events.pop() {
            let call = calls.entry(n).or_insert_with(|| Call {
                plan: RetryPlan::new(pool.policy(), now),
                began: now,
                running: None,
            });
            let mut next = Next::Attempt;
            if let Some(Running { lease, outcome, began }) = call.running.take() {
                assert_eq!(now.since(began), outcome.elapsed);
                let member = lease.member().clone();
                drop(lease);
                pool.record(&member, &outcome, now);
                let Some(failure) = outcome.as_failure() else {
                    report.took.push((call.began.since(start), now.since(call.began)));
                    calls.remove(&n);
                    continue;
                };
                next = call.plan.failed(*failure, &member, pool, now, random);
            }
            loop {
                match next {
                    Next::Attempt => {
                        match pool.acquire(PickRequest::new(call.plan.exclusions()), &now, random) {
                            Ok(lease) => {
                                let id = lease.member().id().to_string();
                                let (takes, failure) = answer(&id, now.since(start));
                                report.attempts.push((now.since(start), id));
                                let limit = call.plan.started(now).map(|limit| limit.at.since(now));
                                let takes = takes.unwrap_or(Duration::MAX);
                                let outcome = match (limit, failure) {
                                    (Some(limit), _) if takes > limit => {
                                        Outcome::failure(Failure::timeout(), limit)
                                    }
                                    (_, Some(failure)) => Outcome::failure(failure, takes),
                                    (_, None) => Outcome::success(takes),
                                };
                                events.push(Reverse((now + outcome.elapsed, n)));
                                call.running = Some(Running { lease, began: now, outcome });
                                break;
                            }
                            Err(why) => next = call.plan.nobody(why, pool, now, random),
                        }
                    }
                    Next::Wait { until, .. } => {
                        events.push(Reverse((until, n)));
                        break;
                    }
                    Next::Stop(_) => {
                        report.gave_up += 1;
                        calls.remove(&n);
                        break;
                    }
                }
            }
        }
        self.lab.wait(self.lasts);
        report
    }

    /// Some time between a half and one and a half of `usual`.
    pub(crate) fn about(&self, usual: Duration) -> Duration {
        usual.mul_f64(0.5 + self.lab.random.unit())
    }
}
