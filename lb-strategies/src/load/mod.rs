//! What strategies that go by load have in common: what they note of a member ([`Track`]), what is usual in a set
//! ([`Fleet`](fleet::Fleet)), and whom a pick compares ([`Reach`], [`scan`]).

mod fleet;
mod float;
mod learner;
mod reach;
mod scan;
mod track;
mod urn;

pub(crate) use fleet::HOT;
pub(crate) use float::{Float, float, least};
pub(crate) use learner::Learner;
pub(crate) use reach::Reach;
pub(crate) use scan::scan;
pub(crate) use track::{Average, DEFAULT_DECAY, Memory, Track, decay_in_range};
