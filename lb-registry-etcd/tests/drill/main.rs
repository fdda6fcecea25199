//! Random sequences of faults, and faults of a cluster behind proxies.
//!
//! What one fault after the other does is in `tests/faults`. Here they come in random order, from a seed, some within
//! others (`random.rs`). All through, a balancer calls the service every two milliseconds: each call must be served at
//! once, from a snapshot that is not empty.

mod one_way;
mod random;
mod world;
