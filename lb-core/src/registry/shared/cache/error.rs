//! Why a cache cannot be read or written: [`DiskCacheError`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// A cache cannot be read or written. A registry goes on without it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DiskCacheError {
    /// The file system refused.
    #[error("cannot {operation} the registry's cache {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as a verb.
        operation: &'static str,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file is something else. It is left as it is, and not written over.
    #[error("{} is not a registry's cache; give the cache a path of its own", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is incomplete or damaged. The next write replaces it.
    #[error("the registry's cache {} is damaged: {problem}; the next write replaces it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file was written by a newer version. The next write replaces it.
    #[error("the registry's cache {} has version {found}, and at most {known} can be read", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that was found.
        found: u32,
        /// The latest that can be read.
        known: u32,
    },
    /// The file belongs to another registry. It is left as it is, and not written over.
    #[error("{} is the cache of registry {found:?}, not of {expected:?}; give each a path of its own", path.display())]
    OtherRegistry {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

impl DiskCacheError {
    pub(super) fn io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.into(), operation, source: Arc::new(source) }
    }
}
