//! One instance as the registry holds it: [`Entry`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::snapshot::Revision;
use crate::instance::ServiceInstance;

/// Where an instance is in its life, as far as the registry knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InstanceState {
    /// Announced, not yet to be used.
    Starting,
    /// In use.
    #[default]
    Ready,
    /// No new requests; running ones finish.
    Draining,
    /// Vanished in a crowd, which looks more like a fault of the registry than of so many instances: kept for a
    /// bounded time, chosen last.
    Suspect,
}

/// What an operator lays over an instance without knowing its type: [`ServiceRegistry::set_override`].
///
/// Belongs to the id: stays in force when the instance is registered again under the same id, goes when it is
/// deregistered. One takes the place of the other: to drain and weigh, set both fields.
///
/// ```
/// use lb_core::registry::Override;
///
/// assert_eq!(Override::default(), Override::NONE);
/// assert!(Override::drain().draining);
/// assert_eq!(Override::weight(3).weight, Some(3));
/// ```
///
/// [`ServiceRegistry::set_override`]: super::ServiceRegistry::set_override
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Override {
    /// Takes the place of the instance's own weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// No new requests.
    #[serde(default)]
    pub draining: bool,
}

impl Override {
    /// Nothing laid over: the instance is as it was registered.
    pub const NONE: Self = Self { weight: None, draining: false };

    /// No new requests; running ones finish.
    pub const fn drain() -> Self {
        Self { weight: None, draining: true }
    }

    /// Another weight. 0 drains.
    pub const fn weight(weight: u32) -> Self {
        Self { weight: Some(weight), draining: false }
    }
}

/// One instance as the registry holds it. Immutable; an instance that did not change between two snapshots is the
/// same `Arc<Entry>` in both.
#[non_exhaustive]
pub struct Entry<I> {
    /// The instance. The same `Arc` as long as it was not registered anew.
    pub instance: Arc<I>,
    /// When the instance was written. A change clears what the balancer holds against it (rests, `Unusable`).
    pub revision: Revision,
    /// Where it is in its life.
    pub state: InstanceState,
    /// What an operator laid over it.
    pub over: Override,
}

impl<I> Clone for Entry<I> {
    fn clone(&self) -> Self {
        Self { instance: Arc::clone(&self.instance), ..*self }
    }
}

impl<I: ServiceInstance> Entry<I> {
    /// An instance in use, with nothing laid over.
    pub fn new(instance: impl Into<Arc<I>>, revision: Revision) -> Self {
        Self { instance: instance.into(), revision, state: InstanceState::Ready, over: Override::NONE }
    }

    /// The same instance in another state.
    pub fn with_state(mut self, state: InstanceState) -> Self {
        self.state = state;
        self
    }

    /// The same instance with something laid over.
    pub fn with_override(mut self, over: Override) -> Self {
        self.over = over;
        self
    }

    /// The instance's id.
    pub fn id(&self) -> &str {
        self.instance.id()
    }

    /// The weight in force: the override's, else the instance's own; 0 while it starts or drains.
    pub fn weight(&self) -> u32 {
        match self.state {
            InstanceState::Starting | InstanceState::Draining => 0,
            InstanceState::Ready | InstanceState::Suspect if self.over.draining => 0,
            InstanceState::Ready | InstanceState::Suspect => {
                self.over.weight.unwrap_or_else(|| self.instance.weight())
            }
        }
    }

    /// Whether it is on its way out: drained by its owner or by an operator.
    pub fn is_draining(&self) -> bool {
        self.over.draining || self.state == InstanceState::Draining
    }
}

impl<I: ServiceInstance> fmt::Debug for Entry<I> {
    /// Prints the id, and not the instance: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id())
            .field("revision", &self.revision)
            .field("state", &self.state)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
