//! The simulator: hosts and callers are modelled, the balancer is the real one.
//!
//! What is real: the pool with its pickers, health, limits and retry budget, and the retry plan, driven as the engine
//! drives them. What is written again here, because in the engine it is made of futures:
//!
//! - *the line* of those who wait for somebody to become available (`line.rs`): first come, first served, only the
//!   first looks, as many as `max_waiting`. It looks whenever something has happened to the client's pool, where the
//!   engine looks when it is woken; looking once too often finds nobody.
//! - *what hosts say when they are asked* (`probe.rs`), for strategies that ask. The tasks that ask are the real ones
//!   (`beside.rs`).
//! - *what is measured*: every success is told to the pool, where the engine tells it those that somebody wants to know
//!   of. The decisions are the same.
//!
//! Not simulated: hedging, fallback services, and the time that the balancer itself takes.

mod arrivals;
mod attempt;
mod beside;
mod call;
mod event;
mod hosts;
mod keys;
mod line;
mod probe;
mod registry;
mod salt;
mod server;
mod world;

pub use probe::{Askable, Reports};
pub use world::{Build, ClientInfo, run, run_from};
