//! A registry in etcd, for `loadbalance`.
mod client;
mod keys;
mod store;
mod watch;
