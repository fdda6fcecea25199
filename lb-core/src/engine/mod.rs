//! The async shell: drives the decisions with real time.
//!
//! # What a call costs, and what it may see
//!
//! Until the closure runs there is no lock, no allocation, no system call and no await: one hash look-up of the
//! service's name, which finds what the service has published, too (one guard for both), the strategy's pick, two atomic
//! additions (in flight, the strategy's turn), one reference count, one read of the clock. Who judges the outcome takes
//! a reference of its own only if the closure's future is not over at its first poll; until then it holds what the pick
//! was made from. What a call touches of the member lies together: the counters with the gate's flags behind them on one
//! cache line, and the reference counts with what leads from there to the instance. A timer (of a deadline, of a hedge)
//! is made when the closure's future has been polled once and was not over.
//!
//! What a pick reads may be stale by as much as a concurrent writer is about to publish: a pick that loads the set an
//! instant before a deregistration may still choose the leaving instance. Loads of counters are relaxed: two picks at
//! the same instant may see the same number in flight. What must be exact (in-flight counts, outcomes) is owned by
//! guards that undo precisely what they did, whatever happens to the set, the call or the thread.

mod attempt;
mod backgrounds;
mod balancer;
mod basis;
mod builder;
mod call;
mod clock;
mod directory;
mod ending;
mod follow;
mod health_checks;
mod hedge;
mod limited;
mod picked;
mod queue;
mod random;
mod retry;
mod roster;
mod served;
mod service;
mod target;
mod terms;

pub use balancer::{LoadBalancer, Traced};
pub use builder::Builder;
pub(crate) use clock::EngineClock;
pub use picked::Picked;
pub use service::Service;
