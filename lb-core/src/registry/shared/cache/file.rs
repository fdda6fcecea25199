//! Files that are there as a whole or not at all. Blocks: for a thread that may.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::format::{Bad, HEADER, Header};

/// What a crash left behind is swept away when it is this old.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Puts `bytes` in the place of the file, readable by its owner only: written beside it, synced, and renamed over it.
/// Who reads meanwhile sees the former content; after a crash there is the one or the other.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = directory(path);
    fs::create_dir_all(directory)?;
    let beside = beside(path);
    let written = write_new(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The error that matters is the first.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_directory(directory)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name beside the file that no other writer uses, in this process or another.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = prefix(path);
    name.push(format!("{}-{}.tmp", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    directory(path).join(name)
}

fn prefix(path: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("cache")));
    name.push(".");
    name
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A rename is durable when its directory is.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    Io(io::Error),
    Bad(Bad),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the file, if it is there and its header says that it is a complete cache: so that a large file which is
/// something else is not read.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Unread> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(HEADER as u64).read_to_end(&mut bytes)?;
    let header = Header::read(&bytes).map_err(Unread::Bad)?;
    header.check_length(length).map_err(Unread::Bad)?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Removes what writers that crashed left beside the file. What cannot be removed does no harm.
pub(super) fn sweep(path: &Path) {
    let Ok(entries) = fs::read_dir(directory(path)) else { return };
    let prefix = prefix(path);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes())
            && name.as_encoded_bytes().ends_with(b".tmp");
        let age =
            entry.metadata().and_then(|metadata| metadata.modified()).map(|modified| modified.elapsed());
        if ours && matches!(age, Ok(Ok(age)) if age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
