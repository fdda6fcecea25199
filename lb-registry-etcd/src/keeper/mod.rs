//! Keeping announcements alive: one lease per process, and everything written again whenever etcd has lost it.
//!
//! Each announcement is a [`Kept`](kept::Kept) in a map. Who holds its handle writes it; one task ([`tend`]) sends the
//! signs of life, writes again what is lost, and takes out what was dropped. What to do about a key is decided, without
//! I/O, in [`decide`].

mod announce;
mod decide;
mod handle;
mod kept;
mod lease;
mod tend;

pub(crate) use announce::KeeperHandle;
pub(crate) use kept::Keeping;
pub(crate) use tend::tend;
