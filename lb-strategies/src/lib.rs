//! The strategies of `loadbalance`: how to choose among the instances of a service. One file per strategy.
//!
//! | Strategy | Name | When |
//! |---|---|---|
//! | [`RoundRobin`] | `round_robin` | by default: strictly in order, and cheap |
//! | [`Random`] | `random` | several threads pick at a very high rate among many members, or clients must not walk in step |
//!
//! [`BuiltInStrategies`] knows all of them by name, for configuration that comes from a registry.

mod alias;
mod built_in;
mod random;

pub use built_in::BuiltInStrategies;
pub use lb_core::strategy::RoundRobin;
pub use random::Random;
