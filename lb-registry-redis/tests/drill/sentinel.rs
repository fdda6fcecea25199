//! A master with two replicas and three sentinels.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lb_testkit::redis::{MASTER_NAME, RedisSentinel};
use lb_testkit::schedule::{Backend, Fault, Settings};
use lb_testkit::{Error, Result};

use super::{between, drill, listing};

struct Watched(RedisSentinel);

#[async_trait]
impl Backend for Watched {
    fn faults(&self) -> Vec<Fault> {
        vec![
            // Long enough for the sentinels to promote another one, or too short for that.
            Fault::lasting("master killed", between(1, 8)),
            Fault::lasting("master stopped", between(1, 8)),
            Fault::lasting("replica killed", between(1, 4)),
            Fault::lasting("sentinel stopped", between(1, 4)),
            Fault::lasting("all stopped", between(1, 8)),
            Fault::momentary("failover"),
            Fault::momentary("everything flushed"),
            Fault::momentary("subscribers killed"),
        ]
    }

    async fn inject(&self, fault: &Fault, choice: u64) -> Result<()> {
        let Self(redis) = self;
        let choice = choice as usize;
        match fault.name() {
            "master killed" => redis.master().await?.kill9(),
            "master stopped" => redis.master().await?.stop(),
            "replica killed" => {
                let master = redis.master().await?.port();
                let replicas: Vec<_> =
                    redis.servers().iter().filter(|server| server.port() != master).collect();
                replicas[choice % replicas.len()].kill9();
            }
            "sentinel stopped" => redis.sentinels()[choice % redis.sentinels().len()].stop(),
            "all stopped" => redis.servers().iter().for_each(lb_testkit::redis::RedisServer::stop),
            "failover" => {
                let old = redis.master().await?;
                redis.failover().await?;
                redis.promoted(old, Duration::from_secs(30)).await?;
            }
            "everything flushed" => drop(redis.master().await?.cli(&["FLUSHALL"]).await?),
            "subscribers killed" => {
                redis.master().await?.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?;
            }
            other => return Err(Error::new(format!("`{other}` is not known"))),
        }
        Ok(())
    }

    async fn heal(&self, _: &Fault) -> Result<()> {
        self.0.heal().await
    }

    async fn listing(&self, _service: &str) -> Result<BTreeMap<String, u32>> {
        listing(self.0.master().await?).await
    }
}

pub(super) async fn random_faults() -> Result<()> {
    let redis = RedisSentinel::start(2).await?;
    let hosts: Vec<_> = redis.sentinels().iter().map(|sentinel| sentinel.address().to_string()).collect();
    let url = format!("redis+sentinel://{}/{MASTER_NAME}", hosts.join(","));
    let settings = Settings::from_env(4, Duration::from_secs(100))?;
    drill(&Watched(redis), &url, &url, settings).await
}
