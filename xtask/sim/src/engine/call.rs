//! A call, and a client that makes calls.

use std::collections::VecDeque;
use std::sync::Arc;

use lb_core::member::Lease;
use lb_core::plan::{AttemptLimit, RetryPlan};
use lb_core::pool::Pool;
use lb_core::{CallPolicy, Time};

use crate::random::Stream;
use crate::scenario::SimHost;

/// The pool's time begins a second after the origin, which means "none yet" there.
const ORIGIN: u64 = 1_000_000_000;

/// The simulator's time as the pool sees it.
pub(super) const fn time(now: u64) -> Time {
    Time::from_nanos(now + ORIGIN)
}

/// The pool's time as the simulator sees it.
pub(super) const fn nanos(time: Time) -> u64 {
    time.as_nanos().saturating_sub(ORIGIN)
}

/// A call under way.
pub(super) struct Call {
    pub(super) client: u32,
    /// Its number among all calls: what it draws its chance from.
    pub(super) number: u64,
    pub(super) started: u64,
    pub(super) key: Option<u64>,
    pub(super) plan: RetryPlan,
    pub(super) attempt: Option<Attempt>,
    /// Counts what it has gone through, so that what belongs to an earlier step finds nobody. Goes on when the place
    /// is taken by another call.
    pub(super) step: u32,
    pub(super) over: bool,
}

/// An attempt that runs.
pub(super) struct Attempt {
    pub(super) lease: Lease<SimHost>,
    pub(super) began: u64,
    pub(super) limit: Option<AttemptLimit>,
    /// What the host had to do then, this included.
    pub(super) found: usize,
}

/// A process with a balancer of its own.
pub(super) struct Client {
    pub(super) pool: Arc<Pool<SimHost>>,
    pub(super) policy: CallPolicy,
    pub(super) random: Stream,
    /// The calls that wait for somebody to become available.
    pub(super) line: VecDeque<u32>,
    /// When the first of them looks again.
    pub(super) looks_at: Option<u64>,
    /// The snapshot of the registry that it has seen.
    pub(super) version: u32,
    /// Requests to each host.
    pub(super) requests: Vec<u32>,
}
