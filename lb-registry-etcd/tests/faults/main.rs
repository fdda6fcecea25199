//! Whatever happens to etcd, callers are served, and what is known is right again within a bound.
//!
//! Real servers, real faults. Bounds are those of a machine that has other things to do; what was measured is printed
//! (`--nocapture`).

mod support;

mod auth;
mod cold;
mod connections;
mod frozen;
mod history;
mod leases;
mod members;
mod partitions;
mod values;
