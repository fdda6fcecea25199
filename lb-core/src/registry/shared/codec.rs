//! From instances to the bytes in a store, and back: [`Codec`].

use thiserror::Error;

use super::record::Record;

/// Writes and reads what a shared store holds of one instance. Pure: no I/O, no clock.
///
/// [`JsonCodec`](super::JsonCodec) is what registries use by default. Another codec reads and writes the layout of
/// another system, so that its instances are found here, and ours there.
///
/// A codec must read what it writes: the same id, state and generation, and an instance that is as good. It is called
/// with bytes that anybody may have written, and must not panic on any.
pub trait Codec<I>: Send + Sync + 'static {
    /// The bytes that stand for a record.
    fn encode(&self, service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError>;

    /// The record that the bytes stand for; `id` is the one in the key, and the instance must have it
    /// ([`CodecError::wrong_id`]).
    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError>;

    /// Names the format, for logs and for a cache that must not be read by another codec: `json`.
    fn name(&self) -> &'static str;
}

/// A value cannot be read or written. Never contains the value: it may hold secrets, and ends in logs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not in the format.
    #[error("it cannot be read as {format}: {problem}{}", at(*line, *column))]
    Malformed {
        /// The format, such as `json`.
        format: &'static str,
        /// What is wrong, without the value.
        problem: &'static str,
        /// Where, if known: lines from 1, else 0.
        line: usize,
        /// Where, if known: columns from 1, else 0.
        column: usize,
    },
    /// It was written by a newer version, in a way that this one cannot read.
    #[error("it has version {found}, and at most {known} can be read; update this process")]
    Version {
        /// The version that was found.
        found: u32,
        /// The latest version that can be read.
        known: u32,
    },
    /// The instance in the value has another id than the key.
    #[error("the instance in it does not have the id of the key; write it under its own id")]
    WrongId,
    /// The value cannot be written.
    #[error("it cannot be written: {0}")]
    Unwritable(String),
}

fn at(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(" (line {line}, column {column})") }
}

impl CodecError {
    /// The bytes are not in the format.
    pub const fn malformed(format: &'static str, problem: &'static str) -> Self {
        Self::Malformed { format, problem, line: 0, column: 0 }
    }

    /// What `serde_json` says about bytes that it cannot read, without what it quotes of them.
    pub fn json(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let problem = match error.classify() {
            Category::Io | Category::Syntax => "the syntax is wrong",
            Category::Data => "a field is missing, or has a value that cannot be meant",
            Category::Eof => "it ends too early",
        };
        Self::Malformed { format: "json", problem, line: error.line(), column: error.column() }
    }

    /// The instance in the value has another id than the key.
    pub const fn wrong_id() -> Self {
        Self::WrongId
    }
}
