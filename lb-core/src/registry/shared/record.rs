//! What is written about one instance: [`Record`], and the [`Generation`] that tells one write from another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::instance::ServiceInstance;
use crate::random::RandomSource;
use crate::registry::entry::InstanceState;

/// Which write of an instance a record belongs to: who wrote it, and the how-manieth version of theirs it is.
///
/// The store's own revision cannot tell: it moves when the same instance is written again to say that it drains, or
/// because its lease was lost. What has the same generation is the same instance, and keeps what balancers know of it;
/// another generation is an instance that was registered anew.
///
/// Its text form is the owner in 16 hexadecimal digits, a dot, and the version: `00c0ffee00c0ffee.1`.
///
/// ```
/// use lb_core::ThreadRandom;
/// use lb_core::registry::shared::Generation;
///
/// let first = Generation::new(&ThreadRandom);
/// let second = first.next();
/// assert_ne!(first, second);
/// assert_eq!(first.owner(), second.owner());
/// assert_eq!(second.to_string().parse(), Ok(second));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    owner: u64,
    version: u32,
}

/// A text that is not a [`Generation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a generation; it is 16 hexadecimal digits, a dot and a number")]
pub struct NotAGeneration;

impl Generation {
    /// The first version of a new owner: of an announcement, or of one `register`.
    pub fn new(random: &dyn RandomSource) -> Self {
        Self { owner: random.next_u64(), version: 1 }
    }

    /// The same owner's next version.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { owner: self.owner, version: self.version.wrapping_add(1) }
    }

    /// Who wrote it: a random number per announcement.
    pub const fn owner(self) -> u64 {
        self.owner
    }

    /// The owner as it stands in the text form.
    pub fn owner_text(self) -> String {
        format!("{:016x}", self.owner)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.owner, self.version)
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Generation {
    type Err = NotAGeneration;

    fn from_str(text: &str) -> Result<Self, NotAGeneration> {
        let (owner, version) = text.split_once('.').ok_or(NotAGeneration)?;
        if owner.len() != 16 || !owner.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotAGeneration);
        }
        let owner = u64::from_str_radix(owner, 16).map_err(|_| NotAGeneration)?;
        Ok(Self { owner, version: version.parse().map_err(|_| NotAGeneration)? })
    }
}

impl Serialize for Generation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Generation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One instance as it is written to a shared store. A [`Codec`](super::Codec) turns it into bytes and back.
#[non_exhaustive]
pub struct Record<I> {
    /// The instance.
    pub instance: Arc<I>,
    /// What its owner says of it. [`InstanceState::Suspect`] is never written: it is each reader's own judgement.
    pub state: InstanceState,
    /// Which write it is. `None`: written by others, in a format that has none; then the store's revision decides.
    pub generation: Option<Generation>,
}

impl<I> Record<I> {
    /// An instance in use, of the given generation.
    pub fn new(instance: impl Into<Arc<I>>, generation: Generation) -> Self {
        Self { instance: instance.into(), state: InstanceState::Ready, generation: Some(generation) }
    }

    /// An instance in use, that others have written.
    pub fn foreign(instance: impl Into<Arc<I>>) -> Self {
        Self { instance: instance.into(), state: InstanceState::Ready, generation: None }
    }

    /// The same in another state.
    #[must_use]
    pub fn with_state(mut self, state: InstanceState) -> Self {
        self.state = state;
        self
    }
}

impl<I> Clone for Record<I> {
    fn clone(&self) -> Self {
        Self { instance: Arc::clone(&self.instance), ..*self }
    }
}

impl<I: ServiceInstance> fmt::Debug for Record<I> {
    /// Prints the id, and not the instance: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.instance.id())
            .field("state", &self.state)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
