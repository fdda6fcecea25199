//! A discrete-event simulator that runs the real decisions of `loadbalance` through bad days.
//!
//! `cargo xtask sim` runs every scenario with every strategy and compares them. A scenario is a file
//! (`xtask/sim/scenarios/`): hosts with their speeds, queues, quotas and faults, the requests that come, the clients that
//! make them. The balancer in it is the production code; time is virtual, and chance is seeded.
//!
//! - [`scenario`]: what is simulated
//! - [`engine`]: the simulator
//! - [`strategies`]: who takes part
//! - [`record`], [`summary`]: what is written down of a run, and what it comes to
//! - [`lab`]: all scenarios with all strategies; [`check`]: what must come out; [`interval`]: how sure that is;
//!   [`report`]: for people and programs
//! - [`theory`]: whether the simulator is right
//! - [`args`]: the command line
//!
//! A panic in here is a mistake of the simulator; what people write wrongly is an error.

pub mod args;
pub mod check;
pub mod engine;
pub mod interval;
pub mod lab;
pub mod random;
pub mod record;
pub mod report;
pub mod scenario;
pub mod strategies;
pub mod summary;
pub mod theory;
