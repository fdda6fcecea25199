//! Why a secret cannot be looked up: [`SecretError`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// A secret cannot be looked up. Names the reference, never the value.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment has no such variable.
    #[error(
        "the environment variable {name:?}, which holds a secret, is not set; set it where this process is started"
    )]
    NotSet {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("the file {}, which holds a secret, cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is nothing in it.
    #[error("{reference} is empty; put the secret there")]
    Empty {
        /// Where it was looked for: `env:NAME` or `file:PATH`.
        reference: String,
    },
    /// It is not text.
    #[error("{reference} is not UTF-8 text")]
    NotText {
        /// Where it was looked for: `env:NAME` or `file:PATH`.
        reference: String,
    },
    /// The text is not a reference.
    #[error(
        "{problem}; write \"env:NAME\" or \"file:PATH\", or \"clear:VALUE\" if all who read it may know it"
    )]
    NotAReference {
        /// What is wrong, without the text: it may be the secret.
        problem: &'static str,
    },
}
