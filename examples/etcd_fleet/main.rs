//! A fleet that shares one registry in etcd: three processes announce themselves, one is killed, one leaves, another one
//! joins, and the configuration changes, while calls go on. The balancer's view is printed whenever it changes.
//!
//! `cargo run --features etcd --example etcd_fleet` starts an etcd of its own, if there is one to start (`etcd`, from
//! Debian's package `etcd-server`). `-- --etcd http://127.0.0.1:2379` uses yours; it writes under a prefix of its own and
//! takes everything away again. `-- --smoke` is the same in a hurry.
//!
//! To see what it takes: `member.rs` is a server that announces itself, `caller.rs` calls whoever is there.

mod caller;
mod member;
mod server;
mod view;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use caller::Caller;
use loadbalance::etcd::{EtcdRegistry, RemovalPolicy};
use loadbalance::prelude::*;

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

pub(crate) const SERVICE: &str = "greeter";

struct Args {
    /// How long an announcement outlives its process.
    ttl: Duration,
    /// How long the fleet is left alone between two events.
    pause: Duration,
    etcd: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    // The processes of the fleet are this program, too.
    let done = match args.next().as_deref() {
        Some(member::COMMAND) => member::serve(args).await.map(|()| true),
        first => match parse(first.map(str::to_owned).into_iter().chain(args)) {
            Ok(args) => tokio::select! {
                done = run(args) => done,
                _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            },
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("etcd_fleet: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args> {
    let mut parsed = Args { ttl: Duration::from_secs(5), pause: Duration::from_secs(4), etcd: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--smoke" => (parsed.ttl, parsed.pause) = (Duration::from_secs(2), Duration::from_millis(300)),
            "--etcd" => parsed.etcd.push(args.next().ok_or("--etcd needs an endpoint")?),
            _ => return Err(format!("{arg} is not known; there are --smoke and --etcd URL").into()),
        }
    }
    Ok(parsed)
}

/// Whether every call was answered.
async fn run(args: Args) -> Result<bool> {
    let throw_away = if args.etcd.is_empty() { Some(server::Server::start().await?) } else { None };
    let endpoints = throw_away.as_ref().map_or(args.etcd.clone(), |server| vec![server.url().to_owned()]);
    let prefix = format!("etcd_fleet/{}", std::process::id());

    // Who dies without a word is kept as a suspect for one more second: a fleet of three that loses one cannot tell whether
    // it is that one's fault or the registry's.
    let removal = RemovalPolicy::for_ttl(args.ttl).with_grace(Duration::from_secs(1));
    let registry = EtcdRegistry::builder(endpoints.clone())
        .prefix(&prefix)
        .ttl(args.ttl)
        .removal(removal)
        .connect()
        .await?;
    let mut view = view::View::new(registry.watch(SERVICE).await?);
    let fleet = member::Fleet { endpoints, prefix, ttl: args.ttl };

    let mut a = fleet.start("a")?;
    let b = fleet.start("b")?;
    let c = fleet.start("c")?;
    view.until("three have announced themselves", |s| s.entries.len() == 3).await?;

    let calls = Caller::start(LoadBalancer::new(registry.clone()));
    view.rest(args.pause).await;

    println!("-- kill -9 for a");
    a.kill().await?;
    view.rest(args.pause).await;

    println!("-- b leaves: it drains, and then goes");
    let (left, seen) = tokio::join!(b.leave(), view.until("b has gone", |s| s.entries.get("b").is_none()));
    left.and(seen)?;

    println!("-- d joins");
    let d = fleet.start("d")?;
    view.until("d has announced itself", |s| s.entries.get("d").is_some()).await?;

    println!("-- the configuration changes");
    let revision = registry.config(SERVICE).await?.map_or(Revision::NONE, |config| config.revision);
    let config = ServiceConfig::builder().max_retries(7).retry_delay(Duration::from_millis(50)).build()?;
    registry.compare_and_set_config(SERVICE, revision, config).await?;
    view.until("the configuration is in force", |s| s.config.is_some()).await?;

    view.until("a has been given up", |s| s.entries.get("a").is_none()).await?;
    view.rest(args.pause).await;
    let report = calls.finish().await?;
    println!("{report}");

    for member in [c, d] {
        member.leave().await?;
    }
    registry.remove_config(SERVICE).await?;
    view.until("nothing is left", |s| !s.is_known()).await?;
    Ok(report.failed == 0)
}
