//! The seams are final only when nothing later has to change them: toys of what is to come, without a change to the
//! core.

#[path = "seams/decorator.rs"]
mod decorator;
#[path = "seams/engine.rs"]
mod engine;
#[path = "seams/limiter.rs"]
mod limiter;
#[path = "seams/registry.rs"]
mod registry;
#[path = "seams/simulator.rs"]
mod simulator;
#[path = "seams/strategy.rs"]
mod strategy;
