//! A registry in Redis, for `loadbalance`.

mod connection;
mod keys;
mod limits;
mod scripts;
mod watch;

pub use connection::{AddressError, ConnectionError, Timeouts, Tls};
pub use limits::RedisLimits;
