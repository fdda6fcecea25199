//! The retry plan as a state machine: no runtime, time and chance handed in.

use std::sync::Arc;
use std::time::Duration;

use lb_core::plan::{AttemptLimit, Next, RetryPlan, Stop};
use lb_core::pool::{NoPick, Pool, PoolContext};
use lb_core::registry::{ConfigEntry, Entries, Entry, Revision, Snapshot};
use lb_core::strategy::{Outcome, PickRequest};
use lb_core::{CallPolicy, Failure, Instance, RetryBudgetConfig, SeededRandom, ServiceConfig, Time};

const SECOND: Duration = Duration::from_secs(1);
const START: Time = Time::from_nanos(1_000_000_000);

struct Lab {
    pool: Arc<Pool<Instance>>,
    random: SeededRandom,
    now: Time,
}

impl Lab {
    fn new(hosts: u32, config: &ServiceConfig) -> Self {
        let pool = Pool::new("s", Arc::new(PoolContext::new()), START);
        let entries: Entries<_> = (0..hosts)
            .map(|n| Arc::new(Entry::new(Instance::new(format!("h{n:03}")), Revision::new(1))))
            .collect();
        let config = Arc::new(ConfigEntry::new(config.clone(), Revision::new(1)));
        let snapshot = Arc::new(Snapshot::new(entries, Some(config), Revision::new(1)));
        pool.apply(|| snapshot, START);
        Self { pool, random: SeededRandom::new(1), now: START }
    }

    fn plan(&self) -> RetryPlan {
        RetryPlan::new(self.pool.policy(), self.now)
    }

    /// Picks, fails, and asks the plan.
    fn fail(&self, plan: &mut RetryPlan, failure: Failure) -> Next {
        let request = PickRequest::new(plan.exclusions());
        let lease = self.pool.acquire(request, &self.now, &self.random).expect("somebody is eligible");
        plan.started(self.now);
        self.pool.record(lease.member(), &Outcome::failure(failure, SECOND), self.now);
        plan.failed(failure, lease.member(), &self.pool, self.now, &self.random)
    }

    fn nobody(&self, plan: &mut RetryPlan, why: NoPick) -> Next {
        plan.nobody(why, &self.pool, self.now, &self.random)
    }
}

fn config() -> lb_core::ServiceConfigBuilder {
    ServiceConfig::builder().jitter(0.0)
}

#[test]
fn walks_the_pool_then_waits_then_walks_again() {
    let lab = Lab::new(3, &config().build().unwrap());
    let mut plan = lab.plan();
    for round in 0..3_i32 {
        assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Attempt);
        assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Attempt);
        let wait = Duration::from_secs_f64(2.0 * 1.1_f64.powi(round));
        assert_eq!(
            lab.fail(&mut plan, Failure::service()),
            Next::Wait { until: lab.now + wait, wakes: false }
        );
        assert!(plan.exclusions().is_empty(), "a new round over all");
    }
    assert_eq!(plan.attempts(), 9);
}

#[test]
fn a_large_pool_is_not_walked_to_the_end() {
    let lab = Lab::new(33, &config().build().unwrap());
    let mut plan = lab.plan();
    for _ in 0..5 {
        assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Attempt);
    }
    assert!(matches!(lab.fail(&mut plan, Failure::service()), Next::Wait { .. }));
}

#[test]
fn max_retries_counts_every_attempt_after_the_first() {
    for max_retries in [0, 1, 7] {
        let lab = Lab::new(3, &config().max_retries(max_retries).build().unwrap());
        let mut plan = lab.plan();
        while lab.fail(&mut plan, Failure::service()) != Next::Stop(Stop::MaxRetries) {}
        assert_eq!(plan.attempts(), max_retries + 1);
    }
}

#[test]
fn without_tokens_the_round_goes_on_at_the_pace_of_the_backoff() {
    let lab = Lab::new(3, &config().retry_budget(RetryBudgetConfig::new(0.0, 0.0, 1.0)).build().unwrap());
    let mut plan = lab.plan();
    assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Attempt, "the one token");
    let next = lab.fail(&mut plan, Failure::service());
    assert_eq!(next, Next::Wait { until: lab.now + 2 * SECOND, wakes: false });
    assert_eq!(plan.exclusions().len(), 2, "still the same round");
}

#[test]
fn a_token_for_nobody_is_given_back() {
    let lab = Lab::new(2, &config().max_failovers_per_round(5).build().unwrap());
    let before = lab.pool.budget().tokens();
    let mut plan = lab.plan();
    assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Attempt);
    assert_eq!(
        lab.fail(&mut plan, Failure::service()),
        Next::Attempt,
        "the cap allows it; nobody is left though"
    );
    assert_eq!(
        lab.nobody(&mut plan, NoPick::NoneEligible),
        Next::Wait { until: lab.now + 2 * SECOND, wakes: false }
    );
    assert_eq!(before - lab.pool.budget().tokens(), 2, "one for the fail-over, one for the round");
}

#[test]
fn no_wait_is_begun_that_cannot_end_in_time() {
    let lab = Lab::new(1, &config().deadline(SECOND).build().unwrap());
    let mut plan = lab.plan();
    let stop = Stop::Deadline { retry_after: Some(2 * SECOND) };
    assert_eq!(lab.fail(&mut plan, Failure::service()), Next::Stop(stop));
    // A rest that outlasts the deadline is not waited for either.
    let lab = Lab::new(1, &config().deadline(5 * SECOND).build().unwrap());
    let mut plan = lab.plan();
    let stop = Stop::Deadline { retry_after: Some(9 * SECOND) };
    assert_eq!(lab.fail(&mut plan, Failure::service().with_retry_after(9 * SECOND)), Next::Stop(stop));
    // Nor one that outlasts the patience.
    let lab = Lab::new(1, &config().max_wait(3 * SECOND).build().unwrap());
    let mut plan = lab.plan();
    let stop = Stop::Resting { retry_after: Some(9 * SECOND) };
    assert_eq!(lab.fail(&mut plan, Failure::service().with_retry_after(9 * SECOND)), Next::Stop(stop));
}

#[test]
fn a_wait_for_somebody_ends_with_the_first_who_is_back() {
    let mut lab = Lab::new(2, &config().build().unwrap());
    let mut plan = lab.plan();
    let rest = |seconds| Failure::service().with_retry_after(seconds * SECOND);
    assert_eq!(lab.fail(&mut plan, rest(20)), Next::Attempt);
    let backoff = Next::Wait { until: lab.now + 2 * SECOND, wakes: false };
    assert_eq!(lab.fail(&mut plan, rest(10)), backoff);
    lab.now = lab.now + 2 * SECOND;
    let until = START + 10 * SECOND;
    assert_eq!(lab.nobody(&mut plan, NoPick::NoneEligible), Next::Wait { until, wakes: true });
    lab.now = until;
    assert!(lab.pool.acquire(PickRequest::new(plan.exclusions()), &lab.now, &lab.random).is_ok());
}

#[test]
fn nobody_at_all_stops_at_once_unless_told_to_wait() {
    let mut lab = Lab::new(0, &config().max_wait(10 * SECOND).build().unwrap());
    for why in [NoPick::Unknown, NoPick::Empty, NoPick::Drained] {
        assert_eq!(lab.nobody(&mut lab.plan(), why), Next::Stop(Stop::Nobody(why)));
    }
    let mut plan = lab.plan().wait_for_ready(true);
    let until = lab.now + 10 * SECOND;
    assert_eq!(lab.nobody(&mut plan, NoPick::Unknown), Next::Wait { until, wakes: true });
    lab.now = until;
    assert_eq!(lab.nobody(&mut plan, NoPick::Unknown), Next::Stop(Stop::Nobody(NoPick::Unknown)));
}

#[test]
fn what_ends_an_attempt() {
    let policy = CallPolicy::of(&config().attempt_timeout(3 * SECOND).deadline(5 * SECOND).build().unwrap());
    let mut plan = RetryPlan::new(policy, START);
    let limit = |at, is_deadline| Some(AttemptLimit { at, is_deadline });
    assert_eq!(plan.started(START), limit(START + 3 * SECOND, false));
    assert_eq!(plan.started(START + 3 * SECOND), limit(START + 5 * SECOND, true));
    let outcome = |elapsed, ended_by| plan.outcome(Failure::timeout(), elapsed, ended_by);
    let deadline = limit(START + 5 * SECOND, true);
    assert!(outcome(2 * SECOND, deadline).is_lower_bound(), "two of five seconds are no fair chance");
    assert!(outcome(3 * SECOND, deadline).as_failure().is_some());
    for other in [None, limit(START + 3 * SECOND, false)] {
        assert!(outcome(2 * SECOND, other).as_failure().is_some(), "the deadline did not end it: {other:?}");
    }
    assert_eq!(RetryPlan::new(CallPolicy::of(&config().build().unwrap()), START).started(START), None);
}

#[test]
fn terminal_failures_stop_at_once() {
    let lab = Lab::new(3, &config().build().unwrap());
    assert_eq!(lab.fail(&mut lab.plan(), Failure::rejected()), Next::Stop(Stop::Rejected));
    assert_eq!(lab.fail(&mut lab.plan(), Failure::unsuitable()), Next::Stop(Stop::Unsuitable));
    let mut once = lab.plan().idempotent(false);
    assert_eq!(lab.fail(&mut once, Failure::timeout()), Next::Stop(Stop::NotIdempotent));
    let mut once = lab.plan().idempotent(false);
    assert_eq!(lab.fail(&mut once, Failure::unreachable()), Next::Attempt);
}
