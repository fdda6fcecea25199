//! What is known, kept on disk for a start while the store is away: [`DiskCache`].

mod disk;
mod error;
mod file;
mod format;

pub use disk::{Cached, DiskCache};
pub use error::DiskCacheError;
