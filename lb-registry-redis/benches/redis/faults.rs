//! How long it takes until what is known is right again, per fault.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::{Instance, ServiceRegistry};
use lb_testkit::redis::RedisServer;
use lb_testkit::{Proxy, ProxyMode, eventually, eventually_async};

use crate::{INSTANCES, connect, row};

/// How long after a fault a new registration is seen by another process, and what was announced is there again.
pub(crate) async fn measure(small: bool) {
    let mut redis = RedisServer::start().await.unwrap();
    let mut faults: Vec<&str> =
        vec!["CLIENT KILL", "FLUSHALL", "kill -9, data lost", "SIGSTOP for 4 s", "black hole for 4 s"];
    if small {
        faults.truncate(2);
    }
    for fault in faults {
        redis.kill9();
        redis = RedisServer::start().await.unwrap();
        let proxy = Proxy::start(redis.address()).await.unwrap();
        let url = format!("redis://{}", proxy.address());
        let (a, b) = (connect(&url).await, connect(&url).await);
        let announced = a.announce("s", Instance::new("announced")).await.unwrap();
        let watch = b.watch("s").await.unwrap();
        match fault {
            "CLIENT KILL" => {
                for kind in ["pubsub", "normal"] {
                    redis.cli(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).await.unwrap();
                }
            }
            "FLUSHALL" => drop(redis.cli(&["FLUSHALL"]).await.unwrap()),
            "kill -9, data lost" => {
                redis.kill9();
                tokio::time::sleep(Duration::from_secs(4)).await;
                redis.restart().await.unwrap();
            }
            "SIGSTOP for 4 s" => {
                redis.stop();
                tokio::time::sleep(Duration::from_secs(4)).await;
                redis.cont();
            }
            _ => {
                proxy.set(ProxyMode::BlackHole);
                tokio::time::sleep(Duration::from_secs(4)).await;
                proxy.set(ProxyMode::Pass);
            }
        }
        let bound = Duration::from_secs(20);
        let start = Instant::now();
        let a = Arc::new(a);
        eventually_async("a registration", bound, async || a.register("s", Instance::new("new")).await.ok())
            .await
            .unwrap();
        eventually("it is seen", bound, || watch.current().entries.get("new").map(drop)).await.unwrap();
        let seen = start.elapsed();
        let there = eventually_async("what was announced", bound, async || {
            (redis.cli(&["HEXISTS", INSTANCES, "announced"]).await.ok()?.trim() == "1").then_some(())
        });
        there.await.unwrap();
        row(
            &format!("{fault}: a new instance is seen / what was announced is there"),
            format!("{:.2} / {:.2} s", seen.as_secs_f64(), start.elapsed().as_secs_f64()),
        );
        drop(announced);
    }
}
