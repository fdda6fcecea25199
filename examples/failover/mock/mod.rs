//! Vendors to try it on: real HTTP servers on loopback ports, with the troubles that real vendors have.

mod fault;
mod fleet;
mod scene;
mod server;

pub(crate) use fleet::Fleet;
pub(crate) use scene::{SWITCHED_OFF, seventh, six};
