//! What `cargo metadata` says of the workspace, as far as the chores ask.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::invocation::Invocation;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    manifest_path: PathBuf,
    /// The registries it may be published in: `None` is any, an empty list none.
    publish: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    /// `None` is a normal one; the others are `build` and `dev`.
    kind: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("`{command}` did not start: {source}")]
    NotStarted { command: Invocation, source: io::Error },
    #[error("`{command}` failed: {message}")]
    Failed { command: Invocation, message: String },
    #[error("what `cargo metadata` printed is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Metadata {
    /// Asks cargo, with all features, so that optional dependencies are seen.
    pub(crate) fn load() -> Result<Self, MetadataError> {
        let command = Invocation::cargo("metadata --locked --all-features --format-version 1");
        match command.command().output() {
            Err(source) => Err(MetadataError::NotStarted { command, source }),
            Ok(output) if output.status.success() => Self::from_json(&output.stdout),
            Ok(output) => {
                let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(MetadataError::Failed { command, message })
            }
        }
    }

    pub(crate) fn from_json(json: &[u8]) -> Result<Self, MetadataError> {
        Ok(serde_json::from_slice(json)?)
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages of the workspace that users can depend on.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members()
            .filter(|package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty()))
    }

    /// Where builds go.
    pub(crate) fn target_directory(&self) -> &Path {
        &self.target_directory
    }

    /// All that a user of `package` compiles: it, and what it needs to run or to build, however far away and on
    /// whatever platform.
    pub(crate) fn compiled_with(&self, package: &Package) -> Vec<&Package> {
        let nodes: HashMap<_, _> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut seen = HashSet::from([package.id.as_str()]);
        let mut next = vec![package.id.as_str()];
        while let Some(id) = next.pop() {
            let dependencies = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let compiled = dependencies.iter().filter(|dependency| dependency.is_compiled());
            next.extend(compiled.map(|dependency| dependency.pkg.as_str()).filter(|id| seen.insert(id)));
        }
        self.packages.iter().filter(|package| seen.contains(package.id.as_str())).collect()
    }
}

impl Package {
    pub(crate) fn directory(&self) -> &Path {
        // A manifest is a file, so it has a directory.
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }
}

impl Dependency {
    fn is_compiled(&self) -> bool {
        self.dep_kinds.iter().any(|dependency| dependency.kind.as_deref() != Some("dev"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A workspace of `app` (published, needs `old` to run, `tool` to build and `new` to test) and `chores` (not
    /// published). `old` needs `app`'s sibling `deep`.
    pub(crate) fn sample() -> Metadata {
        let package = |name: &str, rust_version: Option<&str>, publish: Option<&[&str]>| {
            serde_json::json!({
                "id": format!("id-{name}"), "name": name, "version": "1.0.0", "rust_version": rust_version,
                "features": {}, "manifest_path": format!("/ws/{name}/Cargo.toml"), "publish": publish,
            })
        };
        let depends = |name: &str, on: &[(&str, Option<&str>)]| {
            let deps: Vec<_> = on
                .iter()
                .map(|(on, kind)| {
                    serde_json::json!({ "name": on, "pkg": format!("id-{on}"), "dep_kinds": [{ "kind": kind, "target": null }] })
                })
                .collect();
            serde_json::json!({ "id": format!("id-{name}"), "deps": deps })
        };
        let json = serde_json::json!({
            "packages": [
                package("app", Some("1.88"), None),
                package("chores", None, Some(&[])),
                package("old", None, None),
                package("tool", Some("1.70.0"), None),
                package("deep", Some("1.89"), None),
                package("new", Some("1.99"), None),
            ],
            "workspace_members": ["id-app", "id-chores"],
            "target_directory": "/ws/target",
            "resolve": { "nodes": [
                depends("app", &[("old", None), ("tool", Some("build")), ("new", Some("dev"))]),
                depends("chores", &[("new", None)]),
                depends("old", &[("deep", None)]),
            ] },
        });
        Metadata::from_json(json.to_string().as_bytes()).expect("well formed")
    }

    fn names<'a>(packages: impl IntoIterator<Item = &'a Package>) -> Vec<&'a str> {
        packages.into_iter().map(|package| package.name.as_str()).collect()
    }

    #[test]
    fn members_and_published_ones_are_told_apart() {
        assert_eq!(names(sample().members()), ["app", "chores"]);
        assert_eq!(names(sample().published()), ["app"]);
    }

    #[test]
    fn test_dependencies_are_not_compiled_by_users() {
        let metadata = sample();
        let app = metadata.published().next().expect("`app`");
        assert_eq!(names(metadata.compiled_with(app)), ["app", "old", "tool", "deep"]);
    }
}
