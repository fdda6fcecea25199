//! Where the programs are that the tests run.
//!
//! `cargo xtask test` looks for them with this very file before the tests, and installs what is missing; so it needs
//! nothing but the standard library.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A program that the tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tool {
    /// The etcd server.
    Etcd,
    /// etcd's own client.
    Etcdctl,
    /// The Redis server; with `--sentinel` it is a sentinel.
    RedisServer,
    /// Redis's own client.
    RedisCli,
    /// Ties a server's life to that of the test process (`util-linux`).
    Setpriv,
}

/// A program was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub tool: Tool,
    /// What its variable is set to, which is no program. Then nothing else is looked at.
    pub named: Option<PathBuf>,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Etcd, Self::Etcdctl, Self::RedisServer, Self::RedisCli, Self::Setpriv];

    /// The file's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Etcdctl => "etcdctl",
            Self::RedisServer => "redis-server",
            Self::RedisCli => "redis-cli",
            Self::Setpriv => "setpriv",
        }
    }

    /// The variable that says where it is, if that is not where programs usually are.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Etcd => "LB_ETCD",
            Self::Etcdctl => "LB_ETCDCTL",
            Self::RedisServer => "LB_REDIS_SERVER",
            Self::RedisCli => "LB_REDIS_CLI",
            Self::Setpriv => "LB_SETPRIV",
        }
    }

    /// The package of Debian and Ubuntu that brings it.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Etcd => "etcd-server",
            Self::Etcdctl => "etcd-client",
            Self::RedisServer => "redis-server",
            Self::RedisCli => "redis-tools",
            Self::Setpriv => "util-linux",
        }
    }

    /// Where the program is: what its variable says, else the first one on `PATH` or in the usual places.
    ///
    /// ```
    /// use lb_testkit::locate::Tool;
    ///
    /// match Tool::Etcd.locate() {
    ///     Ok(path) => println!("{}", path.display()),
    ///     Err(missing) => println!("{missing}"),
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Missing`], which says how to get it.
    pub fn locate(self) -> Result<PathBuf, Missing> {
        self.locate_in(std::env::var_os(self.variable()), std::env::var_os("PATH"))
    }

    fn locate_in(self, named: Option<OsString>, path: Option<OsString>) -> Result<PathBuf, Missing> {
        const USUAL: [&str; 6] =
            ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"];
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            let named = PathBuf::from(named);
            return if is_program(&named) {
                Ok(named)
            } else {
                Err(Missing { tool: self, named: Some(named) })
            };
        }
        let path = path.unwrap_or_default();
        std::env::split_paths(&path)
            .chain(USUAL.iter().map(PathBuf::from))
            .map(|directory| directory.join(self.program()))
            .find(|candidate| is_program(candidate))
            .ok_or(Missing { tool: self, named: None })
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, named } = self;
        if let Some(named) = named {
            return write!(f, "{} is set to `{}`, which is no program", tool.variable(), named.display());
        }
        write!(
            f,
            "`{}` was not found, and the tests need it. `cargo xtask test` installs it where it may; by hand: \
             apt-get install {} (Debian, Ubuntu), or set {} to its path",
            tool.program(),
            tool.package(),
            tool.variable()
        )
    }
}

impl std::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_path() {
        let shell = OsString::from("/bin/sh");
        assert_eq!(Tool::Etcd.locate_in(Some(shell), Some("/nowhere".into())), Ok(PathBuf::from("/bin/sh")));
    }

    #[test]
    fn a_variable_that_names_nothing_is_not_passed_over() {
        let missing = Tool::Etcd.locate_in(Some("/nowhere/etcd".into()), Some("/bin".into()));
        let message = missing.expect_err("no program").to_string();
        assert_eq!(message, "LB_ETCD is set to `/nowhere/etcd`, which is no program");
    }

    #[test]
    fn what_is_not_installed_says_how_to_get_it() {
        let message = Missing { tool: Tool::Etcd, named: None }.to_string();
        for part in ["`etcd`", "LB_ETCD", "apt-get install etcd-server"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn setpriv_is_where_programs_usually_are() {
        if cfg!(target_os = "linux") {
            let found = Tool::Setpriv.locate_in(None, None).expect("part of every Linux");
            assert!(found.ends_with("setpriv"), "{}", found.display());
        }
    }
}
