//! What can go wrong with one kind of server: [`Backend`] and its [`Fault`]s.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// One kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    name: &'static str,
    lasts: Option<Range<Duration>>,
    settles: Option<Duration>,
}

impl Fault {
    /// Something that happens and is over: a key is deleted, connections are reset.
    pub const fn momentary(name: &'static str) -> Self {
        Self { name, lasts: None, settles: None }
    }

    /// Something that stays until it is healed, after a time from this range.
    pub const fn lasting(name: &'static str, lasts: Range<Duration>) -> Self {
        Self { name, lasts: Some(lasts), settles: None }
    }

    /// With a bound of its own for [`Rule::Converged`](super::Rule::Converged), where it takes longer than others.
    pub const fn settling(mut self, bound: Duration) -> Self {
        self.settles = Some(bound);
        self
    }

    /// Its name, which is unique within its backend.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long it lasts. `None`: it is momentary.
    pub const fn lasts(&self) -> Option<&Range<Duration>> {
        self.lasts.as_ref()
    }

    /// Its own bound, if it has one.
    pub const fn settles(&self) -> Option<Duration> {
        self.settles
    }
}

/// Servers of one kind, which can be put through their faults.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The faults that it knows.
    fn faults(&self) -> Vec<Fault>;

    /// Makes the fault happen. `choice` is random, for what is to be chosen: a member, a key.
    ///
    /// # Errors
    ///
    /// It could not be made to happen.
    async fn inject(&self, fault: &Fault, choice: u64) -> Result<()>;

    /// Ends the fault, and returns when the servers serve again. Also called for what is momentary.
    ///
    /// # Errors
    ///
    /// They do not.
    async fn heal(&self, fault: &Fault) -> Result<()>;

    /// What the servers hold of a service by their own tool: ids and weights.
    ///
    /// # Errors
    ///
    /// They do not say.
    async fn listing(&self, service: &str) -> Result<BTreeMap<String, u32>>;
}
