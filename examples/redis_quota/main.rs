//! Two processes share the quota of one LLM key through Redis: together they use all of it and no more, and when one is
//! told to stay away, both do.
//!
//! `cargo run --features redis --example redis_quota` starts a Redis of its own, if there is one to start
//! (`redis-server`); `-- --redis redis://127.0.0.1:6379` uses yours. `-- --smoke` is the same in a hurry.
//!
//! To see what it takes, read `worker.rs`; `provider.rs` stands for the vendor.

mod provider;
#[path = "../redis_fleet/server.rs"]
mod server;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::redis::RedisRegistry;
use provider::Provider;

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

pub(crate) const SERVICE: &str = "model";
/// What the vendor grants the key, whoever uses it.
pub(crate) const PER_MINUTE: u32 = 1_200;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        // The processes that share the key are this program, too.
        Some(worker::COMMAND) => worker::work(&args[1..]).await.map(|()| true),
        _ => run(&args).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("redis_quota: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether the quota was kept and used.
async fn run(args: &[String]) -> Result<bool> {
    let smoke = args.iter().any(|arg| arg == "--smoke");
    let given = args.iter().position(|arg| arg == "--redis").and_then(|at| args.get(at + 1));
    let length = Duration::from_secs(if smoke { 4 } else { 15 });
    let throw_away = if given.is_none() { Some(server::Server::start().await?) } else { None };
    let url = match (given, &throw_away) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => server.url().to_owned(),
        (None, None) => return Err("there is no Redis".into()),
    };

    let provider = Provider::start(PER_MINUTE).await?;
    let namespace = format!("redis_quota-{}", std::process::id());
    let registry = RedisRegistry::builder(&url)?.namespace(&namespace).connect().await?;
    let key = Instance::new("key-1")
        .with_address(provider.address())
        .with_quota_group("account-1")
        .with_limits(Limits::NONE.requests_per_minute(PER_MINUTE));
    registry.register(SERVICE, key).await?;

    let workers = [worker::start(&url, &namespace, "left")?, worker::start(&url, &namespace, "right")?];
    provider.first_request().await;
    println!("two processes want all that they can get of {PER_MINUTE} requests a minute");
    let share = provider.count_for(length).await;
    println!("{share}");

    println!("-- the vendor tells one of them to stay away for a minute");
    let late = provider.send_one_away(Duration::from_secs(2)).await;
    println!("the last request after that came {late:.0?} later");

    drop(workers);
    registry.deregister(SERVICE, "key-1").await?;
    Ok(share.used() > 0.9 && share.refused() < 0.05 && late < Duration::from_secs(1))
}
