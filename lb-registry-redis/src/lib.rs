//! A registry in Redis, for `loadbalance`.
//!
//! Many teams run Redis already, and none wants to run another store for a list of addresses. This crate keeps a fleet's
//! instances and configuration there, with the promises of every registry: a lost connection, a failover, an empty
//! server never become an empty list, and whatever was announced comes back by itself.
//!
//! # Inside
//!
//! ```text
//!  RedisRegistry ── writes ─────▶ scripts ─────┐
//!       │                                      ▼
//!       ├── announcements ─▶ Announcer ─▶   Link  ─▶ Redis
//!       │                     (core)           ▲        │ messages
//!       └── watches ─▶ Catalog ◀─ Follower ────┘        ▼
//!                       (core)       ▲───────────────  Ear
//! ```
//!
//! | What | Where |
//! |---|---|
//! | the names of keys | `keys` |
//! | every write, as a script that Redis runs in one step | `scripts` |
//! | the way to Redis: who must be asked, and a connection that is replaced when it stalls | `connection` |
//! | how this process knows what Redis holds | `watch` |
//! | how announcements are kept | `announcements` |
//! | quotas and rests that processes share | `limits` |

mod announcements;
mod builder;
mod connection;
mod core;
mod keys;
mod limits;
mod registry;
mod scripts;
mod service_registry;
mod watch;

pub use builder::{ConnectError, RedisRegistryBuilder};
pub use lb_core::registry::shared::{Codec, EmptyPolicy, RegistryStatus, RemovalPolicy};

pub use connection::{AddressError, ConnectionError, Timeouts, Tls};
pub use limits::RedisLimits;
pub use registry::RedisRegistry;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
