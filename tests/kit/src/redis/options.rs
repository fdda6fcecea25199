//! How a Redis server is started: [`RedisOptions`].

use crate::tls::Tls;

/// Settings of a server. The default keeps nothing on disk, has no limit and no users, and speaks in clear.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    pub(super) persistent: bool,
    pub(super) tls: Tls,
    pub(super) extra: Vec<String>,
}

impl RedisOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every write is on disk before it is answered, so that `kill -9` loses nothing.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Writes are refused (`OOM`) beyond so many bytes.
    pub fn maxmemory(self, bytes: u64) -> Self {
        self.config(format!("maxmemory {bytes}")).config("maxmemory-policy noeviction")
    }

    /// A user with these rules, for instance `registry`, `on >secret ~lb:* &lb:* +@all`.
    pub fn user(self, name: &str, rules: &str) -> Self {
        self.config(format!("user {name} {rules}"))
    }

    /// Whether clients speak TLS with it.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// One more line of the configuration file, as it is.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = if self.persistent {
            vec!["appendonly yes".to_owned(), "appendfsync always".to_owned()]
        } else {
            vec!["appendonly no".to_owned()]
        };
        lines.push("save \"\"".to_owned());
        lines.extend(self.extra.iter().cloned());
        lines
    }
}
