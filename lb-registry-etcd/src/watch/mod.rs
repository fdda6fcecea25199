//! Following a range of keys, whatever happens to etcd: the decisions ([`machine`]) and the shell ([`follow`]).

mod fence;
mod follow;
mod list;
mod machine;
mod wire;

pub(crate) use follow::{Follow, Timing};
pub(crate) use machine::Why;
pub(crate) use wire::{Change, Kv};

use crate::client::EtcdError;

/// What is told of a followed range. Called from the task that reads the watch, so every method must be short.
pub(crate) trait Sink: Send + Sync + 'static {
    /// A list begins; what an earlier one that was not ended had brought is void.
    fn list_begins(&self);
    /// One page of it, in order of keys.
    fn page(&self, page: Vec<Kv>);
    /// The list is whole: it is what there is in this cluster as of this revision. `rewound`: the history is not the one
    /// that was followed.
    fn list_ends(&self, revision: i64, cluster: u64, why: Why, rewound: bool);
    /// What changed since, in order.
    fn changes(&self, changes: Vec<Change>);
    /// The server has given a sign of life.
    fn alive(&self);
    /// The range is being followed (again).
    fn connected(&self, endpoint: &str);
    /// It has not been for a moment.
    fn lost(&self);
    /// Something went wrong; it is being tried again.
    fn failed(&self, error: &EtcdError);
}
