//! How this process knows what Redis holds.
//!
//! Messages about changes come over a subscription, and may be lost. So each carries the version before and after it:
//! a gap is seen, and the service is read as a whole. Versions are compared every few seconds, too, in case that it was
//! the last message that was lost.

mod ear;
mod message;
mod reading;
mod sync;

pub(crate) use ear::{Ear, Listen, Sound};
pub(crate) use message::{Change, Message};
