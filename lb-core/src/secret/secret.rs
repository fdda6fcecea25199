//! A secret, by reference or in person: [`Secret`].

use std::env::{self, VarError};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::SecretError;
use super::value::SecretValue;

/// A key, password or token of an instance.
///
/// Instances travel: into a registry that a fleet shares, into its cache on disk, into logs. A secret must not. So an
/// instance carries a *reference*, to an environment variable or a file of the machine that makes the call, and the
/// secret is looked up there, when it is needed.
///
/// | Made by | Serialised as |
/// |---|---|
/// | [`Secret::env`] | `"env:NAME"` |
/// | [`Secret::file`] | `"file:PATH"` |
/// | [`Secret::literal`] | refused, with an error that names the ways out |
/// | `Secret::literal(…)`.[`travels_in_clear`](Self::travels_in_clear)`()` | `"clear:VALUE"` |
///
/// It is read back from these forms and no other: a plain text is refused, because it is probably the secret itself,
/// which somebody has written into a file or registry by mistake. `Debug` and `Display` show the reference, or
/// `<redacted>`.
///
/// Who may write to the registry decides which variable or file of a client is read, and to which address what is in
/// it is sent. Let only those write who may know the secrets.
///
/// ```
/// use lb_core::Secret;
///
/// let key = Secret::env("OPENAI_API_KEY");
/// assert_eq!(serde_json::to_string(&key)?, r#""env:OPENAI_API_KEY""#);
/// assert_eq!(format!("{key:?}"), "Secret(env:OPENAI_API_KEY)");
///
/// let error = serde_json::to_string(&Secret::literal("sk-123")).unwrap_err();
/// assert!(error.to_string().contains("Secret::env") && !error.to_string().contains("sk-123"));
/// assert!(serde_json::from_str::<Secret>(r#""sk-123""#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Env(Arc<str>),
    File(Arc<Path>),
    Literal { value: Arc<Zeroizing<String>>, in_clear: bool },
}

/// How a secret is written.
pub(super) enum Written<'a> {
    Reference(String),
    Clear(&'a str),
    /// It is not.
    Refused,
}

impl Secret {
    /// What is in the environment variable `name` of the process that makes the call.
    pub fn env(name: impl AsRef<str>) -> Self {
        Self(Source::Env(Arc::from(name.as_ref())))
    }

    /// What is in the file `path` on the machine that makes the call; line breaks at its end do not belong to it. The
    /// path travels as text: one that is not UTF-8 arrives damaged.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self(Source::File(Arc::from(path.as_ref())))
    }

    /// The secret itself. It stays in this process: it cannot be serialised.
    pub fn literal(value: impl Into<String>) -> Self {
        Self(Source::Literal { value: Arc::new(Zeroizing::new(value.into())), in_clear: false })
    }

    /// Lets a literal be serialised in clear, as `"clear:VALUE"`: whoever reads the registry, its backups and its
    /// caches knows it. A reference stays one.
    #[must_use]
    pub fn travels_in_clear(mut self) -> Self {
        if let Source::Literal { in_clear, .. } = &mut self.0 {
            *in_clear = true;
        }
        self
    }

    /// Looks the secret up: reads the variable, or the file, which blocks shortly. Nothing is remembered, so that a
    /// secret that is replaced is found; who calls thousands of times a second remembers it.
    ///
    /// # Errors
    ///
    /// It is not there, empty, or not text. The error names the reference.
    pub fn resolve(&self) -> Result<SecretValue, SecretError> {
        let value = match &self.0 {
            Source::Env(name) => env::var(&**name).map_err(|error| match error {
                VarError::NotPresent => SecretError::NotSet { name: name.to_string() },
                VarError::NotUnicode(_) => SecretError::NotText { reference: self.to_string() },
            })?,
            Source::File(path) => self.read(path)?,
            Source::Literal { value, .. } => value.to_string(),
        };
        if value.is_empty() {
            Err(SecretError::Empty { reference: self.to_string() })
        } else {
            Ok(SecretValue::new(value))
        }
    }

    fn read(&self, path: &Path) -> Result<String, SecretError> {
        let bytes = fs::read(path)
            .map_err(|source| SecretError::File { path: PathBuf::from(path), source: Arc::new(source) })?;
        let bytes = Zeroizing::new(bytes);
        let text =
            std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { reference: self.to_string() })?;
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    pub(super) fn written(&self) -> Written<'_> {
        match &self.0 {
            Source::Env(_) | Source::File(_) => Written::Reference(self.to_string()),
            Source::Literal { value, in_clear: true } => Written::Clear(value),
            Source::Literal { in_clear: false, .. } => Written::Refused,
        }
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    /// Reads `env:NAME`, `file:PATH` or `clear:VALUE`. Any other text is refused, and not repeated in the error.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let refused = |problem| Err(SecretError::NotAReference { problem });
        match text.split_once(':') {
            Some(("env", "")) => refused("the reference names no environment variable"),
            Some(("env", name)) => Ok(Self::env(name)),
            Some(("file", "")) => refused("the reference names no file"),
            Some(("file", path)) => Ok(Self::file(path)),
            Some(("clear", value)) => Ok(Self::literal(value).travels_in_clear()),
            _ => refused("a secret is written here as plain text"),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Env(name) => write!(f, "env:{name}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
            Source::Literal { .. } => f.write_str("<redacted>"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}
