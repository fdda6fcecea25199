//! Redis servers: [`RedisServer`] stands alone, [`RedisSentinel`] is a master with replicas and three sentinels,
//! [`RedisCluster`] is three masters that share the slots, and replicas where they are wanted.
//!
//! ```no_run
//! # async fn example() -> lb_testkit::Result<()> {
//! use lb_testkit::redis::{RedisOptions, RedisSentinel, RedisServer};
//!
//! let redis = RedisServer::start_with(RedisOptions::new().persistent()).await?;
//! redis.cli(&["SET", "key", "value"]).await?;
//! redis.kill9();
//! redis.restart().await?; // on the same port, with its data
//!
//! let sentinel = RedisSentinel::start(2).await?;
//! sentinel.master().await?.stop();
//! # Ok(())
//! # }
//! ```

mod cli;
mod cluster;
mod options;
mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use options::RedisOptions;
pub use sentinel::{MASTER_NAME, RedisSentinel};
pub use server::RedisServer;
