//! Talking to etcd: one client per member, every request bounded in time, errors with a kind.
//!
//! The `etcd-client` crate neither fails over, nor gives up on a server that is silent, nor reconnects a stream. So
//! this module has one client per endpoint, its own choice of endpoint, and a timeout around every request.

mod error;
mod member;
mod pool;
mod tls;

pub(crate) use error::kind_of_reason;
pub use error::{EtcdError, EtcdErrorKind};
pub(crate) use member::Conn;
pub(crate) use pool::{Pool, Settings};
pub use tls::Tls;
