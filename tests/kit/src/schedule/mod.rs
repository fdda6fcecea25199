//! Seeded random sequences of faults, and the invariants that a registry must keep under them.
//!
//! A list of faults that somebody thought of finds what somebody thought of. So the same faults are also let loose in
//! random order, for random times, some in the middle of others, while instances come, change and go; and what must
//! always hold is looked at all the time:
//!
//! - every call of a balancer is served, and none waits for the store, whatever state that is in ([`Rule::Served`],
//!   [`Rule::NoWaiting`]); a look-up of a service that is watched already does not, either ([`Rule::LookUp`])
//! - the watched snapshot is never empty ([`Rule::NeverEmpty`]) and its revision never goes back ([`Rule::Monotonic`])
//! - no instance that somebody stands behind is missing for long ([`Rule::Present`])
//! - after healing, those are all in the store again ([`Rule::Registered`]), and the snapshot is what the server
//!   itself lists, live and without suspects ([`Rule::Converged`])
//!
//! A [`Backend`] knows the faults of one kind of server. The [`Drill`] runs a [`Schedule`] of them on registries that
//! it knows only as `dyn ServiceRegistry<Instance>`; a [`HotPath`] alone keeps calling while a test does something else. Everything random comes from one seed, which a failure prints.

mod backend;
mod caller;
mod drill;
mod fleet;
mod hot_path;
mod ledger;
mod plan;
mod report;
mod settings;

pub use backend::{Backend, Fault};
pub use drill::{Drill, SERVICE};
pub use hot_path::HotPath;
pub use ledger::{Bounds, Rule, Violation};
pub use plan::{Change, Schedule, Step};
pub use report::{Failure, FaultReport, Report};
pub use settings::{LENGTH_VARIABLE, SEED_VARIABLE, Settings};
