//! Quotas and rests that real processes share: four of them use one key at a provider that counts exactly.
//!
//! The processes are this test program, started again with [`WORKER`] set.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lb_core::limit::SharedLimiters;
use lb_core::{Instance, Limits, LoadBalancer, RequestError, ServiceConfig, ServiceRegistry};
use lb_registry_redis::RedisRegistry;
use lb_testkit::redis::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::Instant;

const WORKER: &str = "LB_SHARED_LIMITS_WORKER";
const PROCESSES: usize = 4;
const SERVICE: &str = "model";

/// Grants so many a second, piling up for at most a second, and refuses what is more.
struct Provider {
    per_second: f64,
    bucket: Mutex<(f64, Instant)>,
    granted: AtomicU64,
    refused: AtomicU64,
    /// The next request is told to stay away for a minute.
    send_away: AtomicBool,
    sent_away: Mutex<Option<Instant>>,
    last_after: Mutex<Option<Instant>>,
    after: AtomicU64,
}

impl Provider {
    fn new(per_minute: u32) -> Self {
        let per_second = f64::from(per_minute) / 60.0;
        Self {
            per_second,
            bucket: Mutex::new((per_second, Instant::now())),
            granted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            send_away: AtomicBool::new(false),
            sent_away: Mutex::new(None),
            last_after: Mutex::new(None),
            after: AtomicU64::new(0),
        }
    }

    fn answer(&self) -> u8 {
        if let Some(_since) = *self.sent_away.lock().unwrap() {
            *self.last_after.lock().unwrap() = Some(Instant::now());
            self.after.fetch_add(1, Ordering::Relaxed);
        }
        if self.send_away.swap(false, Ordering::Relaxed) {
            *self.sent_away.lock().unwrap() = Some(Instant::now());
            return b'r';
        }
        let per_second = self.per_second;
        let mut bucket = self.bucket.lock().unwrap();
        let now = Instant::now();
        bucket.0 = (bucket.0 + (now - bucket.1).as_secs_f64() * per_second).min(per_second);
        bucket.1 = now;
        if bucket.0 >= 1.0 {
            bucket.0 -= 1.0;
            self.granted.fetch_add(1, Ordering::Relaxed);
            b'y'
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            b'n'
        }
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let provider = Arc::clone(&self);
            tokio::spawn(async move {
                let mut request = [0];
                while stream.read_exact(&mut request).await.is_ok() {
                    if stream.write_all(&[provider.answer()]).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
}

/// One process of the fleet: eight callers that never have enough.
async fn work(redis: &str, provider: &str) {
    let registry = RedisRegistry::<Instance>::connect(redis).await.unwrap();
    let limiters = SharedLimiters::new(Arc::new(registry.shared_limits()));
    let lb = LoadBalancer::builder(registry).limiters(limiters).build();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (lb, provider) = (lb.clone(), provider.to_owned());
        callers.spawn(async move {
            let stream = Arc::new(tokio::sync::Mutex::new(TcpStream::connect(provider).await.unwrap()));
            loop {
                let call =
                    lb.execute(SERVICE, |_| {
                        let stream = Arc::clone(&stream);
                        async move {
                            let mut stream = stream.lock().await;
                            let mut answer = [0];
                            let broken = |error: std::io::Error| RequestError::service(error.to_string());
                            stream.write_all(b"?").await.map_err(broken)?;
                            stream.read_exact(&mut answer).await.map_err(broken)?;
                            match answer[0] {
                                b'y' => Ok(()),
                                b'r' => Err(RequestError::limit_exceeded("429")
                                    .with_retry_after(Duration::from_secs(60))),
                                _ => Err(RequestError::limit_exceeded("429")),
                            }
                        }
                    });
                // Who is out of quota for longer than it is worth waiting says so; then the test is over.
                if call.await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    while callers.join_next().await.is_some() {}
}

#[test]
fn a_process_of_the_fleet() {
    let Ok(addresses) = std::env::var(WORKER) else { return };
    let (redis, provider) = addresses.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(redis, provider));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_share_600_requests_a_minute() {
    four_processes_share_one_key(600, Duration::from_secs(40)).await;
}

/// Ten times as fast: who is told late would make requests meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_share_6000_requests_a_minute() {
    four_processes_share_one_key(6_000, Duration::from_secs(20)).await;
}

async fn four_processes_share_one_key(per_minute: u32, run: Duration) {
    let redis = RedisServer::start().await.unwrap();
    let registry = RedisRegistry::<Instance>::connect(&redis.url()).await.unwrap();
    let limits = Limits::NONE.requests_per_minute(per_minute);
    registry.register(SERVICE, Instance::new("key").with_limits(limits)).await.unwrap();
    let config = ServiceConfig::builder()
        .retry_delay(Duration::from_millis(20))
        .max_wait(Duration::from_secs(10))
        .build()
        .unwrap();
    registry.set_config(SERVICE, config).await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = format!("{} {}", redis.url(), listener.local_addr().unwrap());
    let provider = Arc::new(Provider::new(per_minute));
    tokio::spawn(Arc::clone(&provider).serve(listener));
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "a_process_of_the_fleet", "--nocapture"])
                .env(WORKER, &addresses)
                .stdout(std::process::Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        })
        .collect();
    let first = lb_testkit::eventually("the first requests", Duration::from_secs(20), || {
        (provider.granted.load(Ordering::Relaxed) > 50).then_some(())
    });
    first.await.unwrap();

    let (granted, refused) = (&provider.granted, &provider.refused);
    let (start, before) =
        (Instant::now(), (granted.load(Ordering::Relaxed), refused.load(Ordering::Relaxed)));
    tokio::time::sleep(run).await;
    let quota = start.elapsed().as_secs_f64() * provider.per_second;
    let got = (granted.load(Ordering::Relaxed) - before.0) as f64;
    let no = (refused.load(Ordering::Relaxed) - before.1) as f64;
    println!(
        "{got} of {quota:.0} granted: {:.1} %; {no} refused: {:.2} %",
        got / quota * 100.0,
        no / (got + no) * 100.0
    );
    assert!(got >= 0.97 * quota, "only {got} of {quota:.0}");
    assert!(no <= 0.01 * (got + no), "{no} of {} were refused", got + no);

    // One process is told to stay away for a minute; all do.
    provider.send_away.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent_away = provider.sent_away.lock().unwrap().expect("somebody was sent away");
    let last = provider.last_after.lock().unwrap().map_or(Duration::ZERO, |last| last - sent_away);
    println!(
        "after a Retry-After: {} more requests, the last after {last:?}",
        provider.after.load(Ordering::Relaxed)
    );
    // 100 ms is the promise; the rest is for a machine that does other things.
    assert!(last <= Duration::from_millis(400), "the last request came {last:?} after the Retry-After");
    drop(processes);
}
