//! Whether every published crate packs, and builds from what was packed, its siblings being the packed ones too.
//!
//! Until a sibling is published, cargo takes it from a registry it makes for the occasion in the target directory.
//! What comes from a registry never changes, cargo thinks, and so it neither unpacks nor builds the sibling again
//! when it has changed. Hence both are forgotten first, and the build has a directory of its own, so that forgetting
//! costs nobody else a build.
//!
//! What is not committed yet is packed too: the question here is whether a package is whole, and a fresh clone has no
//! other files anyway. `cargo publish` asks the other question.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::step::{Step, Task};

pub(crate) fn step(metadata: &Metadata) -> Step {
    let directory = metadata.target_directory().join("package-check");
    let made = directory.join("package");
    let directory = directory.display().to_string();
    let packages: Vec<_> =
        metadata.published().flat_map(|package| ["--package".to_owned(), package.name.clone()]).collect();
    let command =
        |args| Invocation::cargo(args).args(["--target-dir", &directory]).args(packages.iter().cloned());
    let unpacked: Vec<_> =
        metadata.published().map(|package| format!("{}-{}", package.name, package.version)).collect();
    Step::new(
        "package",
        vec![
            Task::Check(Box::new(move || forget(&made, &unpacked))),
            Task::Run(command("clean --quiet --locked")),
            Task::Run(command("package --locked --allow-dirty")),
        ],
    )
}

/// Forgets what an earlier run `made`, the registry among it, and what it left unpacked in cargo's home.
fn forget(made: &Path, unpacked: &[String]) -> Result<String, Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.unwrap_or_default().join("registry/src");
    let removed = match fs::remove_dir_all(made) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed
        .and_then(|()| forget_in(&sources, unpacked))
        .map(|count| format!("{count} packages unpacked by an earlier run are forgotten"))
        .map_err(|error| vec![format!("cannot forget an earlier run: {error}")])
}

/// Removes `unpacked` from registries that lie on this machine. Those have no host, so their directories are named by
/// a hash alone: `-0123456789abcdef`.
fn forget_in(sources: &Path, unpacked: &[String]) -> io::Result<usize> {
    let mut forgotten = 0;
    let registries = match fs::read_dir(sources) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        registries => registries?,
    };
    for registry in registries {
        let registry = registry?;
        if !registry.file_name().to_string_lossy().starts_with('-') {
            continue;
        }
        for package in unpacked.iter().map(|package| registry.path().join(package)) {
            if package.is_dir() {
                fs::remove_dir_all(package)?;
                forgotten += 1;
            }
        }
    }
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_packages_from_registries_on_this_machine_are_forgotten() {
        let sources = env::temp_dir().join(format!("xtask-package-{}", std::process::id()));
        let of = |registry: &str, package: &str| sources.join(registry).join(package);
        for registry in ["-0123456789abcdef", "registry.example-0123456789abcdef"] {
            for package in ["app-1.0.0", "other-1.0.0"] {
                fs::create_dir_all(of(registry, package)).expect("a directory");
            }
        }
        let forgotten = forget_in(&sources, &["app-1.0.0".to_owned(), "app-2.0.0".to_owned()]);
        let left = [
            of("-0123456789abcdef", "app-1.0.0"),
            of("-0123456789abcdef", "other-1.0.0"),
            of("registry.example-0123456789abcdef", "app-1.0.0"),
        ]
        .map(|directory| directory.exists());
        fs::remove_dir_all(&sources).expect("removed");
        assert_eq!(forgotten.expect("removable"), 1);
        assert_eq!(left, [false, true, true]);
    }

    #[test]
    fn a_machine_that_never_unpacked_anything_is_fine() {
        assert_eq!(forget_in(Path::new("there/is/no/such/directory"), &[]).expect("nothing to do"), 0);
    }
}
