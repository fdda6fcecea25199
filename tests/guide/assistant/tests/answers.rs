use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use assistant::{Account, Api, ApiError, Assistant};
use loadbalance::prelude::*;
use loadbalance::strategy::RoundRobin;
use tokio::time::Instant;

/// Fails as many times as it is told to, then answers.
#[derive(Clone)]
struct Fake {
    failures: u32,
    code: u16,
    retry_after: Option<Duration>,
    asked: Arc<AtomicU32>,
}

impl Fake {
    fn works() -> Self {
        Self::fails(0, 0, None)
    }

    fn fails(failures: u32, code: u16, retry_after: Option<Duration>) -> Self {
        Self { failures, code, retry_after, asked: Arc::default() }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Api for Fake {
    async fn complete(&self, _prompt: &str) -> Result<String, ApiError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.failures {
            return Err(ApiError::Status { code: self.code, retry_after: self.retry_after });
        }
        Ok("42".into())
    }
}

/// An assistant over accounts `a`, `b`, …, which are taken in that order.
async fn assistant(fakes: &[&Fake]) -> Assistant<Fake> {
    let registry = MemoryRegistry::new();
    for (name, api) in ["a", "b", "c"].into_iter().zip(fakes) {
        let account = Account { name: name.into(), api: Fake::clone(api) };
        registry.register("qwen-max", account).await.unwrap();
    }
    Assistant::new(LoadBalancer::builder(registry).strategy(RoundRobin::new().starting_at(0)).seed(7).build())
}

#[tokio::test(start_paused = true)]
async fn an_account_without_quota_is_passed_over() {
    let twenty = Some(Duration::from_secs(20));
    let (a, b) = (Fake::fails(1, 429, twenty), Fake::works());
    let assistant = assistant(&[&a, &b]).await;

    assert_eq!(assistant.answer("?").await.unwrap(), "42");
    assert_eq!((a.asked(), b.asked()), (1, 1));

    assistant.answer("?").await.unwrap();
    assert_eq!((a.asked(), b.asked()), (1, 2), "it rests: nobody asks it for 20 s");

    tokio::time::sleep(Duration::from_secs(20)).await;
    assistant.answer("?").await.unwrap();
    assistant.answer("?").await.unwrap();
    assert_eq!((a.asked(), b.asked()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn when_no_account_has_quota_the_call_waits_for_the_first() {
    let a = Fake::fails(1, 429, Some(Duration::from_secs(20)));
    let b = Fake::fails(1, 429, Some(Duration::from_secs(5)));
    let assistant = assistant(&[&a, &b]).await;

    let start = Instant::now();
    assistant.answer("?").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!((a.asked(), b.asked()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_is_returned_at_once() {
    let (a, b) = (Fake::fails(1, 400, None), Fake::works());
    let assistant = assistant(&[&a, &b]).await;

    let error = assistant.answer("?").await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert_eq!((a.asked(), b.asked()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_outlive_its_deadline() {
    let a = Fake::fails(u32::MAX, 429, Some(Duration::from_secs(300)));
    let assistant = assistant(&[&a]).await;

    let start = Instant::now();
    let error = assistant.answer("?").await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(300)));
    assert_eq!(start.elapsed(), Duration::ZERO, "a wait that cannot end in time is not begun");
}
