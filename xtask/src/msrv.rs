//! Whether the `rust-version` we state can be true.
//!
//! Without that toolchain at hand, two things can be known: that no dependency of a published crate asks for a newer
//! one (here), and that our own code uses nothing newer from the standard library (clippy's `incompatible_msrv`).

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::metadata::{Metadata, Package};

/// Holds every published package against all that is compiled with it. Dependencies for tests may be newer: only
/// those who work on this repository compile them.
pub(crate) fn check(metadata: &Metadata) -> Result<String, Vec<String>> {
    let mut problems = Vec::new();
    let mut promised = BTreeSet::new();
    let mut compared = BTreeSet::new();
    for package in metadata.published() {
        let ours = match stated(package) {
            Ok(Some(ours)) => ours,
            Ok(None) => {
                problems.push(format!("`{}` states no `rust-version`", package.name));
                continue;
            }
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        promised.insert(ours);
        for dependency in metadata.compiled_with(package) {
            compared.insert((&dependency.name, &dependency.version));
            match stated(dependency) {
                Ok(Some(theirs)) if theirs > ours => problems.push(format!(
                    "`{}` promises Rust {ours}, but `{}` {} needs {theirs}",
                    package.name, dependency.name, dependency.version
                )),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let promised = promised.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(format!("none of {} packages that users compile asks for more than Rust {promised}", compared.len()))
}

fn stated(package: &Package) -> Result<Option<RustVersion>, String> {
    let parse = |text: &String| {
        text.parse().map_err(|NotAVersion| {
            format!(
                "`{}` {} states `rust-version = \"{text}\"`, which is none",
                package.name, package.version
            )
        })
    };
    package.rust_version.as_ref().map(parse).transpose()
}

/// A version as `rust-version` may state it: `1.88` is `1.88.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RustVersion([u32; 3]);

#[derive(Debug, PartialEq, Eq)]
struct NotAVersion;

impl FromStr for RustVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let mut version = [0; 3];
        let mut parts = text.split('.');
        // The places come first: `zip` asks its right side only for what its left side has.
        for (place, part) in version.iter_mut().zip(parts.by_ref()) {
            *place = part.parse().map_err(|_| NotAVersion)?;
        }
        if parts.next().is_none() { Ok(Self(version)) } else { Err(NotAVersion) }
    }
}

impl std::fmt::Display for RustVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        if patch == 0 { write!(f, "{major}.{minor}") } else { write!(f, "{major}.{minor}.{patch}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::sample;

    fn version(text: &str) -> RustVersion {
        text.parse().expect("a version")
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version("1.88"), version("1.88.0"));
        assert!(version("1.9") < version("1.10"));
        assert!(version("1.88.1") > version("1.88"));
        assert_eq!(version("1.88.0").to_string(), "1.88");
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in ["", "1.x", "1.2.3.4", "1..2", "stable"] {
            assert_eq!(text.parse::<RustVersion>(), Err(NotAVersion), "{text:?}");
        }
    }

    #[test]
    fn a_newer_dependency_is_found_however_far_away_unless_it_is_for_tests() {
        let problems = check(&sample()).expect_err("`deep` is too new");
        assert_eq!(problems, ["`app` promises Rust 1.88, but `deep` 1.0.0 needs 1.89"]);
    }
}
