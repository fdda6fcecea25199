//! The same over HTTP and in real time: the ratios of the eight keys, three times as fast.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use loadbalance::decide::{RandomSource, SeededRandom};
use loadbalance::headers;
use loadbalance::prelude::*;
use tokio::time::{Instant, sleep, sleep_until};

use crate::provider::{Counting, Quota};

const RATES: [u32; 8] = [6, 6, 12, 24, 6, 6, 12, 24];
const SLOW: usize = 1;
const BROKEN: usize = 6;
const USABLE: f64 = 84.0;
const LATENCY: Duration = Duration::from_millis(30);
const WARM_UP: Duration = Duration::from_secs(3);
const COUNTED: Duration = Duration::from_secs(4);

struct Provider {
    quotas: Vec<Mutex<Quota>>,
    requests: AtomicU32,
    says_when: bool,
}

async fn answer(State(provider): State<Arc<Provider>>, Path(key): Path<usize>) -> (StatusCode, HeaderMap) {
    provider.requests.fetch_add(1, Ordering::Relaxed);
    if key == BROKEN {
        return (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new());
    }
    let taken = provider.quotas[key].lock().unwrap().take();
    if let Err(after) = taken {
        let mut said = HeaderMap::new();
        if provider.says_when {
            let millis = (after.as_secs_f64() * 1000.0).ceil() as u64;
            said.insert("retry-after-ms", millis.into());
            said.insert("retry-after", millis.div_ceil(1000).into());
        }
        return (StatusCode::TOO_MANY_REQUESTS, said);
    }
    sleep(if key == SLOW { 10 * LATENCY } else { LATENCY }).await;
    (StatusCode::OK, HeaderMap::new())
}

async fn ask(http: &reqwest::Client, base: &str, key: &str) -> Result<(), RequestError> {
    let answer = http.get(format!("{base}/{key}")).send().await;
    let answer = answer.map_err(|error| RequestError::unreachable(error.to_string()))?;
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    match answer.status().as_u16() {
        200 => Ok(()),
        429 => {
            let refused = RequestError::limit_exceeded("429");
            // The tests need the time only to read dates, of which there are none here.
            match headers::retry_after(header, std::time::SystemTime::UNIX_EPOCH) {
                Some(after) => Err(refused.with_retry_after(after)),
                None => Err(refused),
            }
        }
        status => Err(RequestError::service(status.to_string())),
    }
}

/// At 90 % of what is usable: the part of the calls that failed, and attempts per success.
async fn run(declared: bool, says_when: bool) -> (f64, f64) {
    let second = Counting::Bucket(Duration::from_secs(1));
    let quotas = RATES.iter().map(|rate| Mutex::new(Quota::new(f64::from(*rate), second))).collect();
    let provider = Arc::new(Provider { quotas, requests: AtomicU32::new(0), says_when });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/{key}", get(answer)).with_state(Arc::clone(&provider));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let registry = MemoryRegistry::new();
    for (index, rate) in RATES.into_iter().enumerate() {
        let limits = if declared { Limits::NONE.requests_per_minute(60 * rate) } else { Limits::NONE };
        registry.register("model", Instance::new(index.to_string()).with_limits(limits)).await.unwrap();
    }
    let config = ServiceConfig::builder().max_retries(2).max_wait(Duration::from_secs(1)).build().unwrap();
    let lb = LoadBalancer::builder(registry).config(config).seed(7).build();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (random, began) = (SeededRandom::new(7), Instant::now());
    let (mut next, mut calls, mut before) = (began, Vec::new(), 0);
    while began.elapsed() < WARM_UP + COUNTED {
        next += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / (0.9 * USABLE));
        sleep_until(next).await;
        let counts = began.elapsed() >= WARM_UP;
        if !counts {
            before = provider.requests.load(Ordering::Relaxed);
        }
        let (lb, http, base) = (lb.clone(), http.clone(), base.clone());
        let call = tokio::spawn(async move {
            lb.execute("model", |key| {
                let (http, base) = (&http, &base);
                async move { ask(http, base, key.id()).await }
            })
            .await
            .is_ok()
        });
        calls.push((counts, call));
    }
    let (mut ok, mut failed) = (0.0, 0.0);
    for (counts, call) in calls {
        match (counts, call.await.unwrap()) {
            (true, true) => ok += 1.0,
            (true, false) => failed += 1.0,
            (false, _) => {}
        }
    }
    let attempts = f64::from(provider.requests.load(Ordering::Relaxed) - before);
    (failed / (ok + failed), attempts / ok)
}

/// What a machine under load may do to it is allowed for: the simulation is exact, this shows that the parts fit.
fn check((failed, attempts): (f64, f64)) {
    assert!(failed <= 0.03, "{failed} of the calls failed");
    assert!(attempts <= 1.2, "{attempts} attempts per success");
}

#[tokio::test]
async fn declared_over_http() {
    check(run(true, true).await);
}

#[tokio::test]
async fn learned_over_http_with_retry_after() {
    check(run(false, true).await);
}

#[tokio::test]
async fn learned_over_http_without_a_header() {
    check(run(false, false).await);
}
