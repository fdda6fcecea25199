//! The instances of a pool and what is known of them.
//!
//! Sets change with every deployment; what was learned of an instance must not be lost with them, nor be mistaken for
//! another's. So the two are kept apart.
//!
//! A [`Member`] is one instance as it stands in the current set. What is known of it (calls in flight, failures,
//! rests, a strategy's own notes) is its [`MemberState`], which is kept under the instance's id and outlives every
//! change of the set.

mod ext;
mod lease;
#[allow(clippy::module_inception, reason = "the concept and its folder")]
mod member;
mod rest;
mod seat;
mod set;
mod state;

pub(crate) use lease::Held;
pub use lease::Lease;
pub use member::Member;
pub(crate) use rest::Rest;
pub use rest::RestReason;
pub use seat::Seat;
pub(crate) use set::Table;
pub use set::{MemberSet, Slot, Weights};
pub use state::MemberState;
