//! A registry in the memory of the process: [`MemoryRegistry`].
//!
//! Most applications know their instances: a list of keys and vendors from a file, or of hosts from a discovery of
//! their own. They need a place to put them, and changes that take effect at once. The same registry is the double
//! for tests of everything that uses a registry.
//!
//! Inside, a registry is one map from names to [`Publisher`](lb_core::registry::Publisher)s (`services`), whose
//! latest snapshot is the only copy of a service's state. Every write goes one way: under the lock, derive the next
//! snapshot from the latest one and publish it; then, without the lock, have the balancers take it over.

mod keeper;
mod registry;
mod replace;
mod service_registry;
mod services;

pub use registry::MemoryRegistry;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
