//! Who is left out because it fails, for how long, and how it comes back.
//!
//! | state | picked | entered by | left by |
//! |---|---|---|---|
//! | [healthy](HealthState::Healthy) | yes | | |
//! | [failing](HealthState::Failing) | yes | it should be ejected, but too many are | a success |
//! | [ejected](HealthState::Ejected) | no | failures, or failed [health checks](crate::HealthCheck); see [`EjectionReason`] | time, passed checks, or a success in a panic |
//! | [set aside](HealthState::SetAside) | no | an [`Unusable`](crate::FailureKind::Unusable) answer | time |
//! | [probing](HealthState::Probing) | one request at a time | the time is over | a success, or back by a failure |
//! | [slow start](HealthState::SlowStart) | a growing share | it is new, or readmitted | time |
//!
//! What a request proves depends on when it began: one that began before its instance was ejected neither brings it
//! back nor ejects it once more when it ends.
//!
//! All changes of state go through one lock per pool, taken on the way of failures only. Picks and successes read one
//! word of the instance, which is 0 while there is nothing to look at; successes are not counted here but derived from
//! the counters that are kept anyway.

mod accrual;
mod book;
mod checked;
mod counts;
mod detectors;
mod ejection;
mod gate;
mod intervals;
mod pool_health;
mod ramp;
mod reason;
mod status;
mod track;
mod verdicts;

pub(crate) use counts::Counts;
pub(crate) use gate::{Admission, Gate, View};
pub(crate) use pool_health::PoolHealth;
pub use reason::EjectionReason;
pub use status::HealthState;
pub(crate) use track::Track;
