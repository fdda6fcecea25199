//! A copy of a member's data: [`SavedData`].

use std::path::Path;

use tempfile::TempDir;

use crate::error::Result;
use crate::scratch::scratch_dir;

/// A member's data at one moment. Removed when dropped.
#[derive(Debug)]
pub struct SavedData(TempDir);

impl SavedData {
    pub(super) fn copy(data: &Path) -> Result<Self> {
        let saved = scratch_dir("saved")?;
        copy_tree(data, &saved.path().join("data"))?;
        Ok(Self(saved))
    }

    pub(super) fn put(&self, data: &Path) -> Result<()> {
        Ok(copy_tree(&self.0.path().join("data"), data)?)
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    // etcd refuses to serve from a directory that others may read.
    std::fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
