//! What holds whatever happens: random scripts of outcomes, waits, cancellations and changes of the set, under
//! virtual time.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use loadbalance::limit::DeclaredLimiters;
use loadbalance::prelude::*;
use loadbalance::{RetryBudgetConfig, Why};
use proptest::prelude::*;
use tokio::time::Instant;

/// How one attempt goes.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    millis: u64,
    outcome: Option<(FailureKind, Option<u64>)>,
}

/// One change of the set.
#[derive(Clone, Copy, Debug)]
enum Change {
    Register(u8, u32),
    Deregister(u8),
    Drain(u8),
    Undrain(u8),
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let kind = prop::sample::select(vec![
        FailureKind::Timeout,
        FailureKind::Service,
        FailureKind::Unreachable,
        FailureKind::LimitExceeded,
        FailureKind::Unusable,
        FailureKind::Unsuitable,
        FailureKind::Rejected,
    ]);
    let failure = prop::option::weighted(0.7, (kind, prop::option::weighted(0.2, 1_u64..5_000)));
    (0_u64..300, failure).prop_map(|(millis, outcome)| Attempt { millis, outcome })
}

fn change() -> impl Strategy<Value = Change> {
    let id = 0_u8..6;
    prop_oneof![
        (id.clone(), 0_u32..4).prop_map(|(id, weight)| Change::Register(id, weight)),
        id.clone().prop_map(Change::Deregister),
        id.clone().prop_map(Change::Drain),
        id.prop_map(Change::Undrain),
    ]
}

fn id(n: u8) -> String {
    format!("i{n}")
}

async fn apply(registry: &MemoryRegistry<Instance>, change: Change) {
    let _ = match change {
        Change::Register(n, weight) => registry.register("s", Instance::new(id(n)).with_weight(weight)).await,
        Change::Deregister(n) => registry.deregister("s", &id(n)).await.map(drop),
        Change::Drain(n) => registry.set_override("s", &id(n), Override::drain()).await,
        Change::Undrain(n) => registry.set_override("s", &id(n), Override::NONE).await,
    };
}

fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

async fn run(attempt: Attempt) -> Result<(), RequestError> {
    tokio::time::sleep(Duration::from_millis(attempt.millis)).await;
    match attempt.outcome {
        None => Ok(()),
        Some((kind, after)) => {
            Err(RequestError::new(kind, "scripted").with_retry_after(after.map(Duration::from_millis)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// One call over a set that does not change: limits, rounds and delays.
    #[test]
    fn a_call_keeps_to_its_limits(
        n in 1_u8..6, max_retries in 0_u32..12, delay in 1_u64..500, factor in 1.0..3.0_f64, jitter in 0.0..=1.0_f64,
        cap in prop::option::of(0_u32..4), script in prop::collection::vec(attempt(), 16), seed in any::<u64>(),
    ) {
        // Without rests, and without quotas that are learned, so that only rounds and limits decide.
        let script: Vec<_> = script.into_iter().map(|a| Attempt {
            outcome: a.outcome.map(|(kind, _)| match kind {
                FailureKind::Unusable => (FailureKind::Service, None),
                kind => (kind, None),
            }),
            ..a
        }).collect();
        paused(async {
            let registry = MemoryRegistry::new();
            registry.replace_all("s", (0..n).map(|n| Instance::new(id(n)))).unwrap();
            let retry_delay = Duration::from_millis(delay);
            let max_delay = retry_delay * 4;
            let mut config = ServiceConfig::builder()
                .max_retries(max_retries).retry_delay(retry_delay).max_retry_delay(max_delay).retry_backoff(factor)
                .jitter(jitter).retry_budget(RetryBudgetConfig::UNLIMITED);
            if let Some(cap) = cap {
                config = config.max_failovers_per_round(cap);
            }
            registry.set_config("s", config.build().unwrap()).await.unwrap();
            let lb = LoadBalancer::builder(registry).limiters(DeclaredLimiters).seed(seed).build();
            let made = RefCell::new(Vec::new());
            let result = lb.execute_with("s", CallOptions::new(), async |i| {
                let attempt = script[made.borrow().len() % script.len()];
                let began = Instant::now();
                made.borrow_mut().push((i.id.clone(), began, began));
                let result = run(attempt).await;
                made.borrow_mut().last_mut().unwrap().2 = Instant::now();
                result
            }).await;
            let made = made.into_inner();
            prop_assert!(made.len() <= max_retries as usize + 1, "{} attempts", made.len());
            let cap = cap.map_or(usize::from(n), |cap| cap as usize + 1);
            let mut round = HashSet::new();
            for (k, (id, began, _)) in made.iter().enumerate() {
                let waited = k.checked_sub(1).map_or(Duration::ZERO, |k| *began - made[k].2);
                if k > 0 && !waited.is_zero() || (k > 0 && jitter >= 1.0 && round.len() >= cap.min(usize::from(n))) {
                    // Timers have a granularity of a millisecond, upwards.
                    let (low, high) = (retry_delay.mul_f64((1.0 - jitter).max(0.0)), max_delay.mul_f64(1.0 + jitter));
                    prop_assert!(waited + Duration::from_millis(1) >= low, "{waited:?} < {low:?}");
                    prop_assert!(waited <= high + Duration::from_millis(2), "{waited:?} > {high:?}");
                    let full = round.len() == cap.min(usize::from(n));
                    prop_assert!(full, "a round ended after {} of {n}, cap {cap}", round.len());
                    round.clear();
                }
                prop_assert!(round.insert(id.clone()), "{id} twice in a round: {made:?}");
            }
            let last = script[(made.len() - 1) % script.len()].outcome;
            match (&result, last) {
                (Ok(()), None)
                | (Err(Error::Rejected { .. }), Some((FailureKind::Rejected, _)))
                | (Err(Error::Unsuitable { .. }), Some((FailureKind::Unsuitable, _))) => {}
                (Err(Error::MaxRetriesExceeded { .. }), Some(_)) => {
                    prop_assert_eq!(made.len(), max_retries as usize + 1);
                }
                other => prop_assert!(false, "{:?}", other),
            }
            if let Err(error) = &result {
                prop_assert_eq!(error.attempts().len(), made.len());
                for (told, made) in error.attempts().iter().zip(&made) {
                    prop_assert_eq!((&*told.instance, told.elapsed), (made.0.as_str(), made.2 - made.1));
                }
                prop_assert_eq!(error.attempts()[0].why, Why::First);
            }
            let stats = lb.stats("s").unwrap();
            prop_assert_eq!(stats.instances.iter().map(|i| i.requests).sum::<u64>(), made.len() as u64);
            prop_assert!(stats.instances.iter().all(|i| i.in_flight == 0));
            Ok(())
        })?;
    }

    /// Many calls at once over a set that changes under way, some of them dropped: nothing leaks, every call ends once.
    #[test]
    fn nothing_leaks(
        calls in prop::collection::vec(
            (prop::collection::vec(attempt(), 1..6), 0_u64..2_000, prop::option::weighted(0.3, 1_u64..3_000)), 1..20),
        changes in prop::collection::vec((change(), 0_u64..2_000), 0..20),
        deadline in prop::option::of(50_u64..5_000),
    ) {
        paused(async {
            let registry = MemoryRegistry::new();
            registry.replace_all("s", (0..3).map(|n| Instance::new(id(n)))).unwrap();
            let lb = LoadBalancer::builder(registry.clone()).seed(1).build();
            let in_closures = Rc::new(RefCell::new(0_i64));
            let started = Rc::new(RefCell::new(0_u64));
            let mut tasks = Vec::new();
            for (script, at, cancel) in calls {
                let (lb, in_closures, started) = (lb.clone(), in_closures.clone(), started.clone());
                tasks.push(tokio::task::spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(at)).await;
                    let mut options = CallOptions::new().max_retries(5);
                    if let Some(deadline) = deadline {
                        options = options.deadline(Duration::from_millis(deadline));
                    }
                    let began = Instant::now();
                    let call = lb.execute_with("s", options, async |i| {
                        assert!(i.weight > 0, "an instance with weight 0 was picked");
                        *started.borrow_mut() += 1;
                        *in_closures.borrow_mut() += 1;
                        let _out = Leaves(in_closures.clone());
                        run(script[(i.attempt() as usize - 1) % script.len()]).await
                    });
                    match cancel {
                        Some(after) => { let _ = tokio::time::timeout(Duration::from_millis(after), call).await; }
                        None => { let _ = call.await; }
                    }
                    if let Some(deadline) = deadline {
                        assert!(began.elapsed() <= Duration::from_millis(deadline + 2), "past the deadline");
                    }
                }));
            }
            for (change, at) in changes {
                let registry = registry.clone();
                tasks.push(tokio::task::spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(at)).await;
                    apply(&registry, change).await;
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            prop_assert_eq!(*in_closures.borrow(), 0);
            if let Some(stats) = lb.stats("s") {
                prop_assert!(stats.instances.iter().all(|i| i.in_flight == 0), "{:?}", stats);
                prop_assert_eq!(stats.waiting, 0);
                let requests: u64 = stats.instances.iter().map(|i| i.requests).sum();
                // Instances that left take their count with them.
                prop_assert!(requests <= *started.borrow());
            }
            Ok(())
        })?;
    }
}

struct Leaves(Rc<RefCell<i64>>);

impl Drop for Leaves {
    fn drop(&mut self) {
        *self.0.borrow_mut() -= 1;
    }
}
