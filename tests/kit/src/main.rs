//! Servers to try something out on: `cargo run -p lb-testkit -- etcd`, until Ctrl-C.

use std::fmt::Display;

use lb_testkit::etcd::{EtcdCluster, EtcdServer};
use lb_testkit::redis::{RedisCluster, RedisSentinel, RedisServer};
use lb_testkit::{Error, Process, Result};

const HELP: &str = "Usage: testkit etcd | etcd-cluster | redis | redis-sentinel | redis-cluster\n\n\
    Starts it on free ports of the loopback, says where, and stops it on Ctrl-C.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("etcd") => {
            let etcd = EtcdServer::start().await?;
            say(etcd.process(), etcd.client_url());
            wait().await
        }
        Some("etcd-cluster") => {
            let cluster = EtcdCluster::start().await?;
            cluster.members().iter().for_each(|member| say(member.process(), member.client_url()));
            wait().await
        }
        Some("redis") => {
            let redis = RedisServer::start().await?;
            say(redis.process(), redis.url());
            wait().await
        }
        Some("redis-sentinel") => {
            let sentinel = RedisSentinel::start(2).await?;
            let all = sentinel.servers().iter().chain(sentinel.sentinels());
            all.for_each(|server| say(server.process(), server.url()));
            wait().await
        }
        Some("redis-cluster") => {
            let cluster = RedisCluster::start().await?;
            cluster.nodes().iter().for_each(|node| say(node.process(), node.url()));
            wait().await
        }
        _ => Err(Error::new(HELP)),
    }
}

fn say(process: &Process, url: impl Display) {
    println!("{url}  {}, process {}", process.name(), process.pid().unwrap_or_default());
}

async fn wait() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}
