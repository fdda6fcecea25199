//! etcd servers: [`EtcdServer`] is one member, [`EtcdCluster`] is three.
//!
//! ```no_run
//! # async fn example() -> lb_testkit::Result<()> {
//! use lb_testkit::etcd::{EtcdCluster, EtcdServer};
//!
//! let etcd = EtcdServer::start().await?;
//! etcd.etcdctl(&["put", "key", "value"]).await?;
//! etcd.kill9();
//! etcd.restart().await?; // on the same ports, with its data
//!
//! let cluster = EtcdCluster::start().await?;
//! let leader = cluster.leader().await?;
//! leader.stop();
//! # Ok(())
//! # }
//! ```

mod cluster;
mod ctl;
mod options;
mod peers;
mod ready;
mod saved;
mod server;

pub use cluster::EtcdCluster;
pub use options::EtcdOptions;
pub use saved::SavedData;
pub use server::EtcdServer;
