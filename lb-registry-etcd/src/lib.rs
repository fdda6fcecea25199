//! A registry in etcd, for `loadbalance`: shared by a fleet through watches and leases.
//!
//! Start at [`EtcdRegistry`]. Inside, everything that is read goes one way and everything that is written another:
//!
//! ```text
//! etcd ─ watch (Follow) ─▶ Intake (keys, codec) ─▶ Catalog of the core ─▶ snapshots
//! etcd ◀─ Store (conditional writes) ◀─┬─ register, override, configure
//!                                      └─ Announcements: the lease, and what is announced on it
//! ```
//!
//! What to do is decided in pure code: `watch/machine.rs` (list, barrier, watch, and what goes wrong with them),
//! `announce/decide.rs` (what to do about a key), and in the core (who is gone, and who only seems to be; when an announcement
//! is written again).

mod announce;
mod builder;
mod client;
mod codec;
mod intake;
mod keys;
mod registry;
mod service_registry;
mod store;
mod watch;

pub use builder::{EtcdRegistryBuilder, WhenDown};
pub use client::{EtcdError, EtcdErrorKind, Tls};
pub use codec::{GoZeroCodec, KitexCodec, KratosCodec, NativeCodec};
pub use lb_core::registry::shared::{Codec, CodecError, EmptyPolicy, RegistryStatus, RemovalPolicy};
pub use registry::EtcdRegistry;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
