//! How instances are written in etcd: a format of this library that Go clients can read, and those of other projects.
//!
//! | Codec | Value | Where instances are by default |
//! |---|---|---|
//! | [`NativeCodec`] | gRPC-Go's naming format, with the whole instance beside it | `{prefix}/instances/` |
//! | [`KitexCodec`] | `{"network","address","weight","tags"}` | `kitex/registry-etcd/` |
//! | [`KratosCodec`] | `{"id","name","version","metadata","endpoints"}` | `/microservices/` |
//! | [`GoZeroCodec`] | `host:port` | wherever the keys of the services are |
//!
//! An instance that another project wrote is read as the JSON object `{"id","address","weight","zone","metadata"}`,
//! which is what [`Instance`](lb_core::Instance) is made of, and every type of yours that has such fields.

mod foreign;
mod go_zero;
mod kitex;
mod kratos;
mod native;

pub use go_zero::GoZeroCodec;
pub use kitex::KitexCodec;
pub use kratos::KratosCodec;
pub use native::NativeCodec;
