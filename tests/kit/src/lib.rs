//! Real servers for tests, and the faults to put them through.
//!
//! What a registry does when its store dies, hangs, forgets or lies cannot be seen on a double: it is in the client
//! library, in TCP and in the server. So the tests run real etcd and Redis processes, on free ports of the loopback,
//! with their data in a temporary directory, and break them for real.
//!
//! - [`etcd`]: one member or three; [`redis`]: standalone, with sentinels, or as a cluster
//! - [`Process`]: the fault verbs that all servers share: kill -9, stop, continue
//! - [`Proxy`]: a TCP proxy in front of a server, whose faults can be switched while it runs
//! - [`schedule`]: seeded random sequences of faults, and the invariants that must hold under them
//! - [`Certificates`]: for TLS and mutual TLS
//! - [`Log`]: all that is logged, to look for what must not be
//! - [`picks`]: what calls cost while a registry changes
//! - [`locate`]: where the programs are; `cargo xtask test` installs those that are missing
//!
//! Nothing is left over, however a test ends. A server is killed when its handle is dropped; it is killed by the
//! kernel when the test process dies; and the directory of the test process is removed by a small shell that outlives
//! it.
//!
//! Everything here speaks of failure with [`Error`], whose `Debug` is what one wants to read in a failed test. A server
//! that is not installed is such an error and never a reason to skip a test.

mod command;
mod error;
pub mod etcd;
pub mod locate;
mod log;
pub mod picks;
mod ports;
mod process;
mod proxy;
pub mod redis;
pub mod schedule;
mod scratch;
mod tls;
mod wait;

pub use error::{Error, Result};
pub use log::Log;
pub use ports::{ReservedPort, reserve_port};
pub use process::Process;
pub use proxy::{Proxy, ProxyMode};
pub use scratch::scratch_dir;
pub use tempfile::TempDir;
pub use tls::{Certificates, Tls};
pub use wait::{eventually, eventually_async};
