//! The way to Redis: [`Link`], which keeps a connection to whoever must be asked now.
//!
//! The client library connects, speaks the protocol and finds the node of a key in a Cluster. What it leaves to its
//! user is here: a timeout on everything, replacing a connection that has stalled, finding the master again through
//! the sentinels, and leaving one that is not the master any more.

mod address;
mod dial;
mod error;
mod link;
mod sentinel;
mod session;
mod supervisor;
mod unserved;
mod verdict;

pub(crate) use address::{Address, Node, Topology};
pub(crate) use dial::Dial;
pub use dial::{Timeouts, Tls};
pub use error::{AddressError, ConnectionError};
pub(crate) use link::{Connected, LONG, Link};
pub(crate) use session::Transaction;
