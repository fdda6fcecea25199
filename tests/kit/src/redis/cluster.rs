//! Three masters that share the slots: [`RedisCluster`].

use std::time::Duration;

use super::options::RedisOptions;
use super::server::{Kind, RedisServer};
use crate::error::Result;
use crate::ports::{ReservedPort, reserve_port};

/// How many slots there are.
const SLOTS: usize = 16_384;

/// A Redis Cluster of three masters without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    _bus: Vec<ReservedPort>,
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
        const NODES: usize = 3;
        let (mut nodes, mut bus) = (Vec::new(), Vec::new());
        for _ in 0..NODES {
            let port = reserve_port()?;
            // The port between nodes is else the clients' plus ten thousand, which nobody has reserved.
            let options = options
                .clone()
                .config("cluster-enabled yes")
                .config("cluster-node-timeout 2000")
                .config(format!("cluster-port {}", port.number()));
            nodes.push(RedisServer::start_as(Kind::Server, "redis-node", options).await?);
            bus.push(port);
        }
        for (i, node) in nodes.iter().enumerate() {
            let (from, to) = (i * SLOTS / NODES, (i + 1) * SLOTS / NODES - 1);
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]).await?;
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()]).await?;
            if i > 0 {
                let (port, bus) = (node.port().to_string(), bus[i].number().to_string());
                nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
            }
        }
        let this = Self { nodes, _bus: bus };
        this.wait_ready(Duration::from_secs(30)).await?;
        Ok(this)
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
