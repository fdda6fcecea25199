//! What Redis does by itself: the scripts, and how they are called.
//!
//! Every write is a script: the record, its version and the message about it come into being together. Scripts go by
//! the server's clock only. Each one touches the keys of one service, which share a slot.

mod answers;

use std::fmt::Write as _;
use std::sync::OnceLock;

use redis::{Cmd, Script};

pub(crate) use answers::{Answer, beat_statuses, pair, single};

/// One of the scripts.
pub(crate) struct Lua {
    source: &'static str,
    hashed: OnceLock<Script>,
}

impl Lua {
    const fn new(source: &'static str) -> Self {
        Self { source, hashed: OnceLock::new() }
    }

    fn hash(&self) -> &str {
        self.hashed.get_or_init(|| Script::new(self.source)).get_hash()
    }
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $prelude:literal $file:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) static $name: Lua = Lua::new(concat!(include_str!($prelude), include_str!($file)));
    )*};
}

scripts! {
    /// Writes an instance.
    REGISTER = "prelude.lua" "register.lua";
    /// Keeps instances alive and reaps.
    BEAT = "prelude.lua" "beat.lua";
    /// Takes an instance out.
    DEREGISTER = "prelude.lua" "deregister.lua";
    /// Lays something over an instance.
    OVERRIDE = "prelude.lua" "override.lua";
    /// Writes or removes a configuration.
    CONFIG = "prelude.lua" "config.lua";
    /// Notes services in the index.
    TOUCH = "none.lua" "touch.lua";
    /// Takes empty services out of the index.
    FORGET = "none.lua" "forget.lua";
    /// Takes out who has been dead for long.
    SWEEP = "prelude.lua" "sweep.lua";
    /// Takes a piece of a quota.
    LEASE = "none.lua" "lease.lua";
    /// Has everybody leave a quota alone for a while.
    REST = "none.lua" "rest.lua";
}

/// A script with its arguments.
pub(crate) struct Call {
    script: &'static Lua,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(crate) fn new(script: &'static Lua, keys: impl IntoIterator<Item = String>) -> Self {
        Self { script, keys: keys.into_iter().collect(), arguments: Vec::new() }
    }

    pub(crate) fn arg(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(text, "{number}");
        self.arg(text)
    }

    /// How it is called where the server knows it.
    pub(crate) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    /// How it is called where the server does not; then it does.
    pub(crate) fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

#[cfg(test)]
mod tests;
