//! A registry in etcd, for `loadbalance`: shared by a fleet through watches and leases.

mod builder;
mod client;
mod codec;
mod intake;
mod keeper;
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
