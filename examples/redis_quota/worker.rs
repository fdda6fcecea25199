//! One of the processes that share a key.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use loadbalance::limit::SharedLimiters;
use loadbalance::prelude::*;
use loadbalance::redis::RedisRegistry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{Result, SERVICE, provider};

/// The first argument of such a process.
pub(crate) const COMMAND: &str = "worker";

/// Starts this program once more, to share the key. It ends when the handle is dropped.
pub(crate) fn start(url: &str, namespace: &str, name: &str) -> Result<Child> {
    Ok(Command::new(std::env::current_exe()?)
        .args([COMMAND, url, namespace, name])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?)
}

/// Uses the key for all that it gives.
pub(crate) async fn work(args: &[String]) -> Result<()> {
    let [url, namespace, name] = args else {
        return Err("a worker needs an address, a namespace and a name".into());
    };
    let registry = RedisRegistry::<Instance>::builder(url)?.namespace(namespace).connect().await?;

    // The only difference to a process that counts for itself.
    let limiters = SharedLimiters::new(Arc::new(registry.shared_limits()));
    let lb = LoadBalancer::builder(registry).limiters(limiters).build();

    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (lb, name) = (lb.clone(), name.clone());
        callers.spawn(async move {
            loop {
                if lb.execute(SERVICE, async |key| ask(&key, &name).await).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
    }
    while callers.join_next().await.is_some() {}
    Ok(())
}

async fn ask(key: &Instance, name: &str) -> Result<(), RequestError> {
    let address = key.address.as_deref().unwrap_or_default();
    let unreachable = |error: std::io::Error| RequestError::unreachable(error.to_string());
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    stream.write_all(&name.as_bytes()[..1]).await.map_err(unreachable)?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await.map_err(unreachable)?;
    match answer[0] {
        provider::YES => Ok(()),
        provider::STAY_AWAY => {
            Err(RequestError::limit_exceeded("429").with_retry_after(Duration::from_secs(60)))
        }
        _ => Err(RequestError::limit_exceeded("429")),
    }
}
