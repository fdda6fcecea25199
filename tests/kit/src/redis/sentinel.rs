//! A master, its replicas and three sentinels: [`RedisSentinel`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::options::RedisOptions;
use super::server::{Kind, READY, RedisServer};
use crate::error::{Error, Result};

/// The name under which the sentinels know the master.
pub const MASTER_NAME: &str = "mymaster";

/// Servers that replicate, watched by three sentinels. A master that does not answer for a second is down, and two
/// sentinels who think so have another one promoted.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts a master with `replicas` replicas, and waits until the sentinels know all of them and each other.
    ///
    /// # Errors
    ///
    /// Redis is not installed, or this takes longer than half a minute.
    pub async fn start(replicas: usize) -> Result<Self> {
        Self::start_with(replicas, RedisOptions::default()).await
    }

    /// The same with settings for the servers, which the sentinels do not have.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(replicas: usize, options: RedisOptions) -> Result<Self> {
        let options = options.config("repl-diskless-sync-delay 0");
        let master = RedisServer::start_as(Kind::Server, "redis-master", options.clone()).await?;
        let follows = options.config(format!("replicaof 127.0.0.1 {}", master.port()));
        let mut servers = vec![master];
        for _ in 0..replicas {
            servers.push(RedisServer::start_as(Kind::Server, "redis-replica", follows.clone()).await?);
        }
        let watches = [
            format!("sentinel monitor {MASTER_NAME} 127.0.0.1 {} 2", servers[0].port()),
            format!("sentinel down-after-milliseconds {MASTER_NAME} 1000"),
            format!("sentinel failover-timeout {MASTER_NAME} 5000"),
            format!("sentinel parallel-syncs {MASTER_NAME} 1"),
        ];
        let settings = watches.iter().fold(RedisOptions::new(), RedisOptions::config);
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(RedisServer::start_as(Kind::Sentinel, "redis-sentinel", settings.clone()).await?);
        }
        let this = Self { servers, sentinels };
        this.wait_ready(Duration::from_secs(30)).await?;
        Ok(this)
    }

    /// Waits until each sentinel knows all others and all replicas, and these are in step with the master.
    ///
    /// # Errors
    ///
    /// It takes longer than `bound`.
    pub async fn wait_ready(&self, bound: Duration) -> Result<()> {
        let last = Mutex::new(String::new());
        let ready = crate::eventually_async("sentinels that know each other", bound, || async {
            let found = match self.disorder().await {
                Ok(None) => return Some(()),
                Ok(Some(found)) => found,
                Err(error) => error.to_string(),
            };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = found;
            None
        })
        .await;
        ready.map(|_| ()).map_err(|error| {
            Error::new(format!("{error}: {}", last.lock().unwrap_or_else(PoisonError::into_inner)))
        })
    }

    /// What is not yet as it should be.
    async fn disorder(&self) -> Result<Option<String>> {
        let replicas = self.servers.len() - 1;
        for sentinel in &self.sentinels {
            let known = sentinel.json(&["SENTINEL", "MASTER", MASTER_NAME]).await?;
            let wanted = [
                ("flags", "master".to_owned()),
                ("num-slaves", replicas.to_string()),
                ("num-other-sentinels", (self.sentinels.len() - 1).to_string()),
            ];
            for (field, value) in wanted {
                if known[field].as_str() != Some(value.as_str()) {
                    return Ok(Some(format!("{field} is {} and not {value}", known[field])));
                }
            }
        }
        let master = self.master().await?;
        for server in self.servers.iter().filter(|server| server.port() != master.port()) {
            let link = server.info("replication", "master_link_status").await?;
            if link != "up" || server.info("replication", "master_port").await? != master.port().to_string() {
                return Ok(Some(format!("{} has not joined the master", server.process().name())));
            }
        }
        Ok(None)
    }

    /// The servers. The first one was the master at the start.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Where the sentinels are.
    pub fn sentinel_urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }

    /// The server that the sentinels call the master now. It may be down.
    ///
    /// # Errors
    ///
    /// No sentinel answers, or it names none of the servers.
    pub async fn master(&self) -> Result<&RedisServer> {
        let mut last = Error::new("there are no sentinels");
        for sentinel in &self.sentinels {
            match sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME]).await {
                Ok(answer) => {
                    let port = answer.lines().nth(1).and_then(|port| port.trim().parse().ok());
                    return self
                        .servers
                        .iter()
                        .find(|server| Some(server.port()) == port)
                        .ok_or_else(|| Error::new(format!("the master `{answer}` is none of the servers")));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Waits until another server than `old` is the master and says so itself. Returns it and how long that took.
    ///
    /// # Errors
    ///
    /// There is none within `bound`.
    pub async fn promoted(&self, old: &RedisServer, bound: Duration) -> Result<(&RedisServer, Duration)> {
        crate::eventually_async("a promoted replica", bound, || async {
            let master = self.master().await.ok().filter(|master| master.port() != old.port())?;
            let role = master.info("replication", "role").await.ok()?;
            (role == "master").then_some(master)
        })
        .await
    }

    /// Has the sentinels promote a replica now, with the master alive. Returns before it is done.
    ///
    /// # Errors
    ///
    /// They refuse: no replica is good enough, or a failover is under way.
    pub async fn failover(&self) -> Result<()> {
        self.sentinels[0].cli(&["SENTINEL", "FAILOVER", MASTER_NAME]).await.map(|_| ())
    }

    /// Continues all that are stopped, starts all that are dead, and waits until they are in order again.
    ///
    /// # Errors
    ///
    /// That takes longer than a minute.
    pub async fn heal(&self) -> Result<()> {
        for server in self.servers.iter().chain(&self.sentinels) {
            server.cont();
            if server.process().pid().is_none() {
                server.spawn()?;
            }
            server.wait_ready(READY).await?;
        }
        self.wait_ready(Duration::from_secs(60)).await
    }
}
