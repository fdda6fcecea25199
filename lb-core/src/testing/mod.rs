//! Contract tests for what others plug in (feature `testing`).
//!
//! A registry is right if [`registry_contract`] passes with it, a strategy if [`strategy_contract`] does; their
//! authors need to know no more than the traits' docs, and their users no more than that it passes.

mod registry;
mod strategy;

pub use registry::{RegistryContract, registry_contract};
pub use strategy::{StrategyBench, StrategyContract, strategy_contract};
