//! Temporary directories that are gone afterwards, even if the test process is killed.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::error::{Error, Result};

/// The directory of this process, and who removes it.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// A shell that waits for the end of its input. Only this process holds the other end, so it comes with our death,
    /// whatever we die of. It is in a process group of its own: Ctrl-C is not for it.
    _janitor: Child,
}

/// What the janitor does: servers die at the same moment, so what they still write is removed at a second look.
const JANITOR: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" 2>/dev/null
    sleep 0.2
    [ -e "$1" ] || exit 0
done
"#;

fn root() -> Result<&'static Root> {
    static ROOT: OnceLock<Result<Root, String>> = OnceLock::new();
    ROOT.get_or_init(|| make_root().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|message| Error::new(format!("no temporary directory: {message}")))
}

fn make_root() -> std::io::Result<Root> {
    let path = tempfile::Builder::new().prefix("lb-testkit-").tempdir()?.keep();
    let janitor = Command::new("/bin/sh")
        .args(["-c", JANITOR, "janitor"])
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(Root { path, _janitor: janitor })
}

/// A new directory, which is removed when it is dropped, and at the latest after the end of this process.
///
/// ```
/// let dir = lb_testkit::scratch_dir("cache").expect("there is room");
/// std::fs::write(dir.path().join("snapshot.json"), "{}").expect("it is ours");
/// ```
///
/// # Errors
///
/// The directory for temporary files cannot be written to.
pub fn scratch_dir(name: &str) -> Result<TempDir> {
    let directory = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(&root()?.path);
    directory.map_err(|error| Error::from(error).during("no temporary directory"))
}
