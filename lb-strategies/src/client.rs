//! Which of a service's clients this process is: [`ClientIndex`].

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use lb_core::strategy::StrategyError;
use thiserror::Error;

use crate::params::invalid;

/// The number of a client among all clients of a service: `index` of `count`, from 0 on. For [`Subset`](crate::Subset)
/// and [`Aperture`](crate::Aperture), which share a service's instances out among its clients.
///
/// A number is at hand where replicas have one (a Kubernetes `StatefulSet` or an indexed job), or where a place in a sorted list
/// of the clients can be had from their own registry. All clients must agree on `count`; while they do not (during a
/// change of it), shares are less even, and nothing worse.
///
/// ```
/// use lb_strategies::ClientIndex;
///
/// assert!(ClientIndex::new(3, 4).is_ok());
/// assert!(ClientIndex::new(4, 4).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIndex {
    index: u32,
    count: u32,
}

/// A number that no client can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no client {index} of {count}: numbers are from 0 to one less than there are clients, at most 1048576"
)]
#[non_exhaustive]
pub struct InvalidClientIndex {
    /// The number of the client.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl ClientIndex {
    const MAX: u32 = 1 << 20;

    /// Client `index`, from 0, of `count`, at most 1,048,576.
    pub const fn new(index: u32, count: u32) -> Result<Self, InvalidClientIndex> {
        if index < count && count <= Self::MAX {
            Ok(Self { index, count })
        } else {
            Err(InvalidClientIndex { index, count })
        }
    }

    /// One of a million, by chance, drawn once in a process: for clients that have no number. What is exactly even for
    /// numbered clients is so only on average for those.
    pub fn random() -> Self {
        Self { index: (of_process() >> 44) as u32, count: Self::MAX }
    }

    pub(crate) const fn index(self) -> u32 {
        self.index
    }

    pub(crate) const fn count(self) -> u32 {
        self.count
    }

    /// From the parameters `client_index` and `client_count` of the strategy `name`, both or none.
    pub(crate) fn parse(
        name: &str,
        index: Option<u32>,
        count: Option<u32>,
    ) -> Result<Option<Self>, StrategyError> {
        match (index, count) {
            (None, None) => Ok(None),
            (Some(index), Some(count)) => Self::new(index, count)
                .map(Some)
                .map_err(|error| invalid(name, format!("`client_index`: {error}"))),
            _ => Err(invalid(name, "`client_index` and `client_count` are given together, or none of them")),
        }
    }
}

/// A number that is drawn once in a process.
pub(crate) fn of_process() -> u64 {
    static DRAWN: OnceLock<u64> = OnceLock::new();
    *DRAWN.get_or_init(|| RandomState::new().hash_one(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_the_count() {
        assert_eq!(ClientIndex::new(0, 0), Err(InvalidClientIndex { index: 0, count: 0 }));
        assert!(ClientIndex::new(0, 1).is_ok() && ClientIndex::new(0, ClientIndex::MAX + 1).is_err());
        let drawn = ClientIndex::random();
        assert_eq!(drawn, ClientIndex::random(), "once in a process");
        assert!(ClientIndex::new(drawn.index(), drawn.count()).is_ok());
    }

    #[test]
    fn parameters_come_together() {
        assert_eq!(ClientIndex::parse("x", None, None), Ok(None));
        assert_eq!(ClientIndex::parse("x", Some(1), Some(2)), Ok(Some(ClientIndex { index: 1, count: 2 })));
        for (index, count) in [(Some(1), None), (None, Some(1)), (Some(2), Some(2))] {
            let error = ClientIndex::parse("x", index, count).unwrap_err().to_string();
            assert!(error.contains("`client_index`"), "{error}");
        }
    }
}
