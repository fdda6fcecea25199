//! Three masters that share the slots. What one of them has is lost when it is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lb_testkit::redis::{RedisCluster, RedisServer};
use lb_testkit::schedule::{Backend, Fault, Settings};
use lb_testkit::{Error, Result};

use super::{between, drill, failed, key, listing};

struct Sharded {
    redis: RedisCluster,
    /// The node that has the service.
    home: usize,
}

impl Sharded {
    async fn start() -> Result<Self> {
        let redis = RedisCluster::start().await?;
        let slot = redis.nodes()[0].cli(&["CLUSTER", "KEYSLOT", &key("i")]).await?;
        let slot: usize = slot.trim().parse().map_err(failed)?;
        let home = slot * redis.nodes().len() / 16_384;
        Ok(Self { redis, home })
    }

    fn home(&self) -> &RedisServer {
        &self.redis.nodes()[self.home]
    }

    /// One that has nothing to do with the service, but may be the one that is listened to.
    fn other(&self, choice: u64) -> &RedisServer {
        let nodes = self.redis.nodes();
        &nodes[(self.home + 1 + choice as usize % (nodes.len() - 1)) % nodes.len()]
    }

    async fn everywhere(&self, command: &[&str]) -> Result<()> {
        for node in self.redis.nodes() {
            node.cli(command).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for Sharded {
    fn faults(&self) -> Vec<Fault> {
        vec![
            // The others need two seconds to see it, and then serve nobody until it is back.
            Fault::lasting("its node killed", between(1, 7)),
            Fault::lasting("its node stopped", between(1, 8)),
            Fault::lasting("another node killed", between(1, 7)),
            Fault::lasting("another node stopped", between(1, 7)),
            Fault::lasting("all killed", between(1, 6)),
            Fault::lasting("all stopped", between(1, 8)),
            Fault::momentary("everything flushed"),
            Fault::momentary("clients killed"),
            Fault::momentary("subscribers killed"),
            Fault::momentary("scripts flushed"),
        ]
    }

    async fn inject(&self, fault: &Fault, choice: u64) -> Result<()> {
        match fault.name() {
            "its node killed" => self.home().kill9(),
            "its node stopped" => self.home().stop(),
            "another node killed" => self.other(choice).kill9(),
            "another node stopped" => self.other(choice).stop(),
            "all killed" => self.redis.nodes().iter().for_each(RedisServer::kill9),
            "all stopped" => self.redis.nodes().iter().for_each(RedisServer::stop),
            "everything flushed" => self.everywhere(&["FLUSHALL"]).await?,
            "clients killed" => {
                self.everywhere(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await?;
            }
            "subscribers killed" => self.everywhere(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?,
            "scripts flushed" => self.everywhere(&["SCRIPT", "FLUSH"]).await?,
            other => return Err(Error::new(format!("`{other}` is not known"))),
        }
        Ok(())
    }

    async fn heal(&self, _: &Fault) -> Result<()> {
        self.redis.heal().await
    }

    async fn listing(&self, _service: &str) -> Result<BTreeMap<String, u32>> {
        listing(self.home()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_in_a_cluster() -> Result<()> {
    let sharded = Sharded::start().await?;
    let hosts: Vec<_> = sharded.redis.nodes().iter().map(|node| node.address().to_string()).collect();
    let url = format!("redis+cluster://{}", hosts.join(","));
    let settings = Settings::from_env(6, Duration::from_secs(100))?;
    drill(&sharded, &url, &url, settings).await
}
