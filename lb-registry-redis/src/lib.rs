//! A registry in Redis, for `loadbalance`.

mod connection;
mod keys;
mod scripts;

pub use connection::{AddressError, ConnectionError, Timeouts, Tls};
