//! What etcd may do, and what the callers may notice of it: nothing.
//!
//! Real servers, real faults, one test each, with the bound within which the registry must have coped; and random
//! sequences of faults (`random.rs`), from a seed. All through, a balancer calls the service every two milliseconds:
//! each call must be served at once, from a snapshot that is not empty.

mod connections;
mod contents;
mod random;
mod servers;
mod world;
