//! Masters that share the slots: [`RedisCluster`].

use std::time::Duration;

use super::options::RedisOptions;
use super::server::{Kind, RedisServer};
use crate::error::{Error, Result};
use crate::ports::{ReservedPort, reserve_port};

/// How many slots there are.
const SLOTS: usize = 16_384;

/// How many masters there are.
const MASTERS: usize = 3;

/// A Redis Cluster of three masters, without replicas unless they are [added](Self::add_replica).
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    bus: Vec<ReservedPort>,
    options: RedisOptions,
}

impl RedisCluster {
    /// Starts three nodes, gives each a third of the slots, and waits until all agree.
    ///
    /// # Errors
    ///
    /// Redis is not installed, or this takes longer than half a minute.
    pub async fn start() -> Result<Self> {
        Self::start_with(RedisOptions::default()).await
    }

    /// The same with settings for the nodes.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_with(options: RedisOptions) -> Result<Self> {
        let mut this = Self { nodes: Vec::new(), bus: Vec::new(), options };
        for i in 0..MASTERS {
            this.add().await?;
            let node = &this.nodes[i];
            let (from, to) = (i * SLOTS / MASTERS, (i + 1) * SLOTS / MASTERS - 1);
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]).await?;
            // Only who knows nobody takes one.
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()]).await?;
            if i > 0 {
                this.meet().await?;
            }
        }
        this.wait_ready(Duration::from_secs(30)).await?;
        Ok(this)
    }

    /// Starts one more node, of which the others know nothing yet.
    async fn add(&mut self) -> Result<()> {
        let port = reserve_port()?;
        // The port between nodes is else the clients' plus ten thousand, which nobody has reserved.
        let options = self
            .options
            .clone()
            .config("cluster-enabled yes")
            .config("cluster-node-timeout 2000")
            .config("repl-diskless-sync-delay 0")
            .config(format!("cluster-port {}", port.number()));
        self.nodes.push(RedisServer::start_as(Kind::Server, "redis-node", options).await?);
        self.bus.push(port);
        Ok(())
    }

    /// Makes the last node known to the first, which tells the others.
    async fn meet(&self) -> Result<()> {
        if let (Some(node), Some(bus)) = (self.nodes.last(), self.bus.last()) {
            let (port, bus) = (node.port().to_string(), bus.number().to_string());
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
        }
        Ok(())
    }

    /// Starts a replica of the node of this number, and waits until it has what that one has and all know it. It is the
    /// last of the [nodes](Self::nodes) then.
    ///
    /// # Errors
    ///
    /// This takes longer than half a minute.
    pub async fn add_replica(&mut self, of: usize) -> Result<()> {
        const BOUND: Duration = Duration::from_secs(30);
        self.add().await?;
        self.meet().await?;
        self.wait_ready(BOUND).await?;
        let (master, replica) = (&self.nodes[of], &self.nodes[self.nodes.len() - 1]);
        let id = master.cli(&["CLUSTER", "MYID"]).await?;
        let linked = crate::eventually_async("a replica in a cluster", BOUND, || async {
            // It may not know yet whom it is to follow.
            let _ = replica.cli(&["CLUSTER", "REPLICATE", &id]).await;
            for node in &self.nodes {
                // One that is not known to be a replica is not promoted.
                if node.cli(&["CLUSTER", "REPLICAS", &id]).await.ok()?.is_empty() {
                    return None;
                }
            }
            (replica.info("replication", "master_link_status").await.ok()? == "up").then_some(())
        });
        linked.await.map(|_| ())
    }

    /// Has the last node, a replica, take over from its master, and waits until it has.
    ///
    /// # Errors
    ///
    /// It does not do so within a minute.
    pub async fn failover(&self) -> Result<&RedisServer> {
        // Given up by Redis after five seconds.
        const ATTEMPT: Duration = Duration::from_secs(6);
        let mut last = Error::new("no attempt was made");
        for _ in 0..10 {
            // Refused by one that took over a moment ago.
            let asked = self.nodes[self.nodes.len() - 1].cli(&["CLUSTER", "FAILOVER"]).await;
            match self.promoted(ATTEMPT).await {
                Ok((new, _)) => return Ok(new),
                Err(error) => last = asked.err().unwrap_or(error),
            }
        }
        Err(last)
    }

    /// Waits until the last node, a replica, has become a master and says that all slots are served. How long that took.
    ///
    /// # Errors
    ///
    /// That does not happen within `bound`.
    pub async fn promoted(&self, bound: Duration) -> Result<(&RedisServer, Duration)> {
        let new = &self.nodes[self.nodes.len() - 1];
        let promoted = crate::eventually_async("a replica that is promoted", bound, || async {
            let info = new.cli(&["CLUSTER", "INFO"]).await.ok()?;
            let master = new.info("replication", "role").await.ok()? == "master";
            (master && info.contains("cluster_state:ok")).then_some(())
        });
        Ok((new, promoted.await?.1))
    }

    /// Waits until every node says that all slots are served.
    ///
    /// # Errors
    ///
    /// One does not within `bound`.
    pub async fn wait_ready(&self, bound: Duration) -> Result<()> {
        let count = format!("cluster_known_nodes:{}", self.nodes.len());
        let ready = crate::eventually_async("a cluster that serves all slots", bound, || async {
            for node in &self.nodes {
                let info = node.cli(&["CLUSTER", "INFO"]).await.ok()?;
                if !info.contains("cluster_state:ok") || !info.contains(&count) {
                    return None;
                }
            }
            Some(())
        });
        ready.await.map(|_| ())
    }

    /// The nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Where clients connect to, of every node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Continues all that are stopped, starts all that are dead, and waits until all slots are served.
    ///
    /// # Errors
    ///
    /// That takes longer than half a minute.
    pub async fn heal(&self) -> Result<()> {
        for node in &self.nodes {
            node.cont();
            if node.process().pid().is_none() {
                node.spawn()?;
            }
        }
        self.wait_ready(Duration::from_secs(30)).await
    }
}
