//! What one registry object knows of all services: [`Catalog`].

#[allow(clippy::module_inception, reason = "the concept and its folder")]
mod catalog;
mod change;
mod image;
mod options;
mod removal;
mod service_state;
mod state;
mod status;

pub use catalog::{Catalog, WeakCatalog};
pub use change::{Change, ChangeKind, Key, Listing, Reset};
pub use image::{Export, Image, ServiceImage};
pub use options::{CatalogOptions, Numbering};
pub use removal::{EmptyPolicy, RemovalPolicy};
pub use status::{Counters, RegistryStatus};
