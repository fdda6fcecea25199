//! What is wrong with a scenario.

use std::path::PathBuf;

use thiserror::Error;

/// A scenario that cannot be run. Says which file, what in it, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// There is none of that name.
    #[error("there is no scenario `{name}`; there are: {}; or give the path of a .toml file", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what a scenario looks like.
    #[error("{}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where in the file.
        problem: String,
    },
}
