//! Two keys of one account have one account's quota, declared or learned.

use std::time::Duration;

use loadbalance::limit::{QuotaHint, QuotaSource};
use loadbalance::prelude::*;
use tokio::time::Instant;

use crate::provider::{Counting, Quota};

const SECOND: Duration = Duration::from_secs(1);

async fn keys_of_one_account(limits: Limits) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    for id in ["key-1", "key-2"] {
        let key = Instance::new(id).with_quota_group("account").with_limits(limits);
        registry.register("model", key).await.unwrap();
    }
    let config = ServiceConfig::builder().retry_delay(Duration::from_millis(100)).build().unwrap();
    LoadBalancer::builder(registry).config(config).seed(7).build()
}

#[tokio::test(start_paused = true)]
async fn one_quota_is_learned_for_both() {
    let lb = keys_of_one_account(Limits::NONE).await;
    let account = Quota::new(4.0, Counting::Bucket(SECOND));
    let (mut refused, mut last) = (0, 0);
    let start = Instant::now();
    for n in 0..240 {
        let call = lb.execute("model", |_| {
            let taken = account.take();
            refused += u32::from(taken.is_err());
            async move { taken.map_err(|_| RequestError::limit_exceeded("429")) }
        });
        call.await.unwrap();
        if n == 119 {
            last = refused;
        }
    }
    let (took, late) = (start.elapsed().as_secs_f64(), refused - last);
    assert!((59.0..66.0).contains(&took), "240 at 4 a second took {took} s");
    assert!(late <= 6, "{late} of the last 120 were refused, {refused} in all");
    let stats = lb.stats("model").unwrap();
    let [a, b] = &stats.instances[..] else { panic!("two") };
    assert_eq!(a.quota, b.quota);
    let quota = a.quota.unwrap();
    assert_eq!((quota.source, quota.refused), (QuotaSource::Learned, u64::from(refused)));
    let rate = quota.requests_per_minute.unwrap();
    assert!((216.0..264.0).contains(&rate), "{rate} instead of 240 a minute");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_at_the_pick_and_settled_later() {
    let lb = keys_of_one_account(Limits::NONE.tokens_per_minute(6_000).burst(10 * SECOND)).await;
    let options = CallOptions::new().cost(900);
    let ask = |actual: u64| {
        lb.execute_with("model", &options, move |key| async move {
            key.settle(actual);
            Ok::<_, RequestError>(())
        })
    };
    let start = Instant::now();
    // 900 are reserved of the 1,000 that fit, and 100 are used.
    for _ in 0..2 {
        ask(100).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "what was not used came back at once");
    ask(1_900).await.unwrap();
    // 1,000 more than were reserved are owed, and 900 must be there for the next: at 100 a second.
    let waits = start.elapsed();
    ask(900).await.unwrap();
    let waited = (start.elapsed() - waits).as_secs_f64();
    assert!((19.0..21.0).contains(&waited), "{waited} s for 1,000 that were owed, and 900");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_hints_at_is_kept_to() {
    let lb = keys_of_one_account(Limits::NONE).await;
    let account = Quota::new(10.0, Counting::Bucket(2 * SECOND));
    let start = Instant::now();
    let mut refused = 0;
    for _ in 0..120 {
        let call = lb.execute("model", |key| {
            let taken = account.take();
            refused += u32::from(taken.is_err());
            let hint = QuotaHint::new().limit_requests(20).remaining_requests(account.left());
            key.hint(hint.reset_after(account.reset()));
            async move { taken.map_err(|_| RequestError::limit_exceeded("429")) }
        });
        call.await.unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    assert!((9.9..12.0).contains(&took), "20 at once, and 100 at 10 a second, took {took} s");
    assert!(refused <= 1, "{refused} were refused");
    assert_eq!(lb.stats("model").unwrap().instances[0].quota.unwrap().source, QuotaSource::Hinted);
}
