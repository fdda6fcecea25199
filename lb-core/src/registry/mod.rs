//! Where instances and configuration live: the [`ServiceRegistry`] trait, and everything a registry is made of.
//!
//! Instances come and go while the application runs, and operators change what they find: so the list is not an
//! argument of the balancer, but lives where all who have to do with it can reach it.
//!
//! A registry keeps, per service, a set of instances and a configuration, and hands out [`SnapshotWatch`]es: views
//! that always have the latest [`Snapshot`]. The balancer never asks a registry while a call waits; it reads the
//! snapshot it has. An author of a registry needs three things from here: a [`Publisher`] per service to publish
//! snapshots with, an [`AnnouncementKeeper`] to keep announcements alive, and [`validate`] for what users hand in.
//! `lb_core::testing::registry_contract` (feature `testing`) checks the result.

mod announcement;
mod entry;
mod error;
mod publisher;
mod service_registry;
pub mod shared;
mod snapshot;
pub mod validate;

pub use announcement::{Announcement, AnnouncementKeeper};
pub use entry::{Entry, InstanceState, Override};
pub use error::RegistryError;
pub(crate) use publisher::SnapshotReader;
pub use publisher::{Publisher, PublisherGone, SnapshotWatch};
pub use service_registry::ServiceRegistry;
pub use snapshot::{ConfigEntry, Entries, EntryChange, Freshness, Revision, Snapshot};
