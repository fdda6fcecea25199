//! Contract tests for what others plug in (feature `testing`).

mod strategy;

pub use strategy::{StrategyBench, StrategyContract, strategy_contract};
