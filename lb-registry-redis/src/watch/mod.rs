//! How this process knows what Redis holds.
//!
//! Messages about changes come over a subscription, and may be lost. So each carries the version before and after it:
//! a gap is seen, and the service is read as a whole. Versions are compared every few seconds, too, in case that it was
//! the last message that was lost.
//!
//! | What | Where |
//! |---|---|
//! | the subscription | `ear` |
//! | what is told on it | `message` |
//! | whether something was missed | `sync` |
//! | reading a service as a whole, comparing versions | `reading` |
//! | from bytes to changes of the catalog | `translate` |
//! | the task that puts it together | `follower`; what it hears, `follower::hearing`; what it asks, `follower::asking` |

mod ear;
mod follower;
mod health;
mod message;
mod reading;
mod record;
mod sync;
mod translate;

pub(crate) use ear::{Ear, Listen, Sound};
pub(crate) use follower::{Follow, Follower, Settings};

pub(crate) use record::to_store;
pub(crate) use translate::Translator;
