//! Keeping announcements in etcd, on one lease per process.
//!
//! What to do next is decided by the keeper of the core; here it is done ([`Announcements`]). What to do about a key, given
//! what is there, is decided without I/O in [`decide`].

mod decide;
mod heartbeat;
mod own;
mod perform;

pub(crate) use own::{Own, Sight};
pub(crate) use perform::Announcements;
