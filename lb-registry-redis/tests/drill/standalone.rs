//! One server, which keeps its data over a kill, behind a proxy. Who writes reaches it directly.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use lb_testkit::redis::{RedisOptions, RedisServer};
use lb_testkit::schedule::{Backend, Fault, Settings};
use lb_testkit::{Error, Proxy, ProxyMode, Result};

use super::{between, drill, key, listing};

struct Standalone {
    server: RedisServer,
    proxy: Proxy,
}

impl Standalone {
    /// One of the announced instances that are there.
    async fn core(&self, choice: u64) -> Result<Option<String>> {
        let there = listing(&self.server).await?;
        let core: Vec<_> = there.into_keys().filter(|id| id.starts_with("core")).collect();
        Ok(if core.is_empty() { None } else { core.get(choice as usize % core.len()).cloned() })
    }

    async fn run(&self, command: &[&str]) -> Result<()> {
        self.server.cli(command).await.map(|_| ())
    }
}

#[async_trait]
impl Backend for Standalone {
    fn faults(&self) -> Vec<Fault> {
        vec![
            Fault::lasting("killed", between(1, 8)),
            Fault::lasting("stopped", between(1, 9)),
            Fault::lasting("black hole", between(1, 9)),
            Fault::lasting("answers lost", between(1, 6)),
            Fault::lasting("requests lost", between(1, 6)),
            Fault::lasting("refused", between(1, 6)),
            Fault::lasting("latency", between(1, 4)),
            Fault::lasting("memory full", between(1, 7)),
            Fault::momentary("connections reset"),
            Fault::momentary("clients killed"),
            Fault::momentary("subscribers killed"),
            Fault::momentary("scripts flushed"),
            Fault::momentary("everything flushed"),
            Fault::momentary("restarted empty"),
            Fault::momentary("expiry removed"),
            Fault::momentary("instance removed silently"),
            Fault::momentary("all instances removed silently"),
        ]
    }

    async fn inject(&self, fault: &Fault, choice: u64) -> Result<()> {
        match fault.name() {
            "killed" => self.server.kill9(),
            "stopped" => self.server.stop(),
            "black hole" => self.proxy.set(ProxyMode::BlackHole),
            "answers lost" => self.proxy.set(ProxyMode::BlackHoleToClient),
            "requests lost" => self.proxy.set(ProxyMode::BlackHoleToServer),
            "latency" => self.proxy.set(ProxyMode::Latency(Duration::from_millis(100))),
            "refused" => {
                self.proxy.set(ProxyMode::RefuseNew);
                self.proxy.reset_all();
            }
            "memory full" => self.run(&["CONFIG", "SET", "maxmemory", "1"]).await?,
            "connections reset" => self.proxy.reset_all(),
            "clients killed" => self.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await?,
            "subscribers killed" => self.run(&["CLIENT", "KILL", "TYPE", "pubsub"]).await?,
            "scripts flushed" => self.run(&["SCRIPT", "FLUSH"]).await?,
            "everything flushed" => self.run(&["FLUSHALL"]).await?,
            "restarted empty" => {
                self.server.wipe()?;
                self.server.restart().await?;
            }
            "expiry removed" | "instance removed silently" => {
                if let Some(id) = self.core(choice).await? {
                    self.run(&["ZREM", &key("x"), &id]).await?;
                    if fault.name() == "instance removed silently" {
                        self.run(&["HDEL", &key("i"), &id]).await?;
                    }
                }
            }
            "all instances removed silently" => self.run(&["DEL", &key("i")]).await?,
            other => return Err(Error::new(format!("`{other}` is not known"))),
        }
        Ok(())
    }

    async fn heal(&self, fault: &Fault) -> Result<()> {
        self.proxy.set(ProxyMode::Pass);
        self.server.cont();
        if self.server.process().pid().is_none() {
            self.server.restart().await?;
        }
        if fault.name() == "memory full" {
            self.run(&["CONFIG", "SET", "maxmemory", "0"]).await?;
        }
        Ok(())
    }

    async fn listing(&self, _service: &str) -> Result<BTreeMap<String, u32>> {
        listing(&self.server).await
    }
}

pub(super) async fn random_faults() -> Result<()> {
    let server = RedisServer::start_with(RedisOptions::new().persistent()).await?;
    let proxy = Proxy::start(server.address()).await?;
    let (through, directly) = (format!("redis://{}", proxy.address()), server.url());
    let settings = Settings::from_env(2, Duration::from_secs(100))?;
    drill(&Standalone { server, proxy }, &through, &directly, settings).await
}
