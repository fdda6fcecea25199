//! Eight keys with quotas of 2, 2, 4, 8, 2, 2, 4 and 8 requests a second; the seventh answers 500, the second is ten times
//! as slow as the others. Callers come at random, and wait up to a second for quota.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use loadbalance::decide::{RandomSource, SeededRandom};
use loadbalance::limit::QuotaHint;
use loadbalance::prelude::*;
use loadbalance::strategy::Strategy;
use tokio::time::Instant;

use crate::provider::{Counting, Quota};

const RATES: [u32; 8] = [2, 2, 4, 8, 2, 2, 4, 8];
const SLOW: usize = 1;
const BROKEN: usize = 6;
const LATENCY: Duration = Duration::from_millis(100);

/// What all keys that work grant together, per second.
pub(crate) const USABLE: f64 = 28.0;

/// What the balancer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the example and the tests make different ones of them")]
pub(crate) enum Told {
    /// The limits are declared.
    Declared,
    /// Nothing, but refusals say for how long, to the millisecond.
    RetryAfter,
    /// Nothing, but refusals say for how long, in whole seconds, rounded up.
    WholeSeconds,
    /// Nothing at all.
    Nothing,
    /// Nothing, but answers say what is left.
    Hints,
}

/// One run.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) told: Told,
    pub(crate) counting: Counting,
    /// Requests offered, as a part of what is [`USABLE`].
    pub(crate) load: f64,
    pub(crate) strategy: Arc<dyn Strategy<Instance>>,
    /// How long a refusal takes.
    pub(crate) refusal: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) counted: Duration,
}

impl Scenario {
    pub(crate) fn new(told: Told, load: f64) -> Self {
        Self {
            told,
            counting: Counting::Bucket(Duration::from_secs(1)),
            load,
            strategy: Arc::new(RoundRobin::new()),
            refusal: Duration::ZERO,
            warm_up: Duration::from_secs(20),
            counted: Duration::from_secs(60),
        }
    }
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Successes as a part of the usable quota.
    pub(crate) goodput: f64,
    /// The part of the calls that failed.
    pub(crate) failed: f64,
    pub(crate) attempts_per_success: f64,
    /// The part of the attempts that was refused for the quota.
    pub(crate) refused: f64,
    /// The part of the successes for which a caller waited longer than a second before the last attempt.
    pub(crate) late: f64,
}

struct World {
    quotas: Vec<Quota>,
    scenario: Scenario,
    began: Instant,
    ok: Cell<u32>,
    failed: Cell<u32>,
    late: Cell<u32>,
    attempts: Cell<u32>,
    refused: Cell<u32>,
}

impl World {
    fn counts(&self) -> bool {
        let time = self.began.elapsed();
        time >= self.scenario.warm_up && time < self.scenario.warm_up + self.scenario.counted
    }

    fn count(&self, counter: &Cell<u32>) {
        if self.counts() {
            counter.set(counter.get() + 1);
        }
    }

    async fn request(&self, key: &Picked<Instance>, last: &Cell<Instant>) -> Result<(), RequestError> {
        let index: usize = key.id().parse().expect("keys are numbered");
        last.set(Instant::now());
        self.count(&self.attempts);
        if index == BROKEN {
            return Err(RequestError::service("500"));
        }
        let quota = &self.quotas[index];
        if let Err(after) = quota.take() {
            self.count(&self.refused);
            tokio::time::sleep(self.scenario.refusal).await;
            let refused = RequestError::limit_exceeded("429");
            return Err(match self.scenario.told {
                Told::RetryAfter => refused.with_retry_after(after),
                Told::WholeSeconds => {
                    refused.with_retry_after(Duration::from_secs_f64(after.as_secs_f64().ceil()))
                }
                _ => refused,
            });
        }
        let slow = if index == SLOW { 10 } else { 1 };
        tokio::time::sleep(LATENCY * slow).await;
        if self.scenario.told == Told::Hints {
            let hint =
                QuotaHint::new().limit_requests(quota.capacity() as u64).remaining_requests(quota.left());
            key.hint(hint.reset_after(quota.reset()));
        }
        Ok(())
    }
}

/// Runs it once, under virtual time.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), drive(scenario.clone(), seed))
}

async fn balancer(scenario: &Scenario, seed: u64) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    for (index, rate) in RATES.into_iter().enumerate() {
        let (Counting::Bucket(burst) | Counting::Window(burst)) = scenario.counting;
        let limits = match scenario.told {
            Told::Declared => Limits::NONE.requests_per_minute(60 * rate).burst(burst),
            _ => Limits::NONE,
        };
        registry
            .register("model", Instance::new(index.to_string()).with_limits(limits))
            .await
            .expect("valid");
    }
    let config =
        ServiceConfig::builder().max_retries(2).max_wait(Duration::from_secs(1)).build().expect("valid");
    let builder =
        LoadBalancer::builder(registry).config(config).strategy(Arc::clone(&scenario.strategy)).seed(seed);
    builder.build()
}

async fn drive(scenario: Scenario, seed: u64) -> Figures {
    let lb = balancer(&scenario, seed).await;
    let random = SeededRandom::new(seed ^ 0x5EED);
    let end = scenario.warm_up + scenario.counted;
    let world = Rc::new(World {
        quotas: RATES.iter().map(|rate| Quota::new(f64::from(*rate), scenario.counting)).collect(),
        began: Instant::now(),
        scenario,
        ok: Cell::default(),
        failed: Cell::default(),
        late: Cell::default(),
        attempts: Cell::default(),
        refused: Cell::default(),
    });
    let rate = world.scenario.load * USABLE;
    let mut next = Instant::now();
    while world.began.elapsed() < end {
        next += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
        tokio::time::sleep_until(next).await;
        let (lb, world) = (lb.clone(), Rc::clone(&world));
        tokio::task::spawn_local(async move {
            let (began, last) = (Instant::now(), Cell::new(Instant::now()));
            let result = lb.execute("model", |key| {
                let (world, last) = (&world, &last);
                async move { world.request(&key, last).await }
            });
            match result.await {
                Ok(()) => {
                    world.count(&world.ok);
                    if last.get() - began > Duration::from_millis(1_001) {
                        world.count(&world.late);
                    }
                }
                Err(_) => world.count(&world.failed),
            }
        });
    }
    let [ok, failed, late, attempts, refused] =
        [&world.ok, &world.failed, &world.late, &world.attempts, &world.refused].map(|n| f64::from(n.get()));
    Figures {
        goodput: ok / (USABLE * world.scenario.counted.as_secs_f64()),
        failed: failed / (ok + failed),
        attempts_per_success: attempts / ok,
        refused: refused / attempts,
        late: late / ok,
    }
}
