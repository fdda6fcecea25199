//! What comes from etcd, without the types of the client.

use etcd_client::ResponseHeader;
use etcd_client::proto::{PbEvent, PbKeyValue};

use super::machine::Head;

/// One key as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kv {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// When it was written.
    pub(crate) revision: i64,
    /// The lease that it lives on; 0 if it stays.
    pub(crate) lease: i64,
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Kv),
    Delete { key: Vec<u8>, revision: i64 },
}

impl From<PbKeyValue> for Kv {
    fn from(kv: PbKeyValue) -> Self {
        Self { key: kv.key, value: kv.value, revision: kv.mod_revision, lease: kv.lease }
    }
}

impl Change {
    pub(crate) fn revision(&self) -> i64 {
        match self {
            Self::Put(kv) => kv.revision,
            Self::Delete { revision, .. } => *revision,
        }
    }

    /// `None` for a kind of event that this version does not know.
    pub(crate) fn of(event: PbEvent) -> Option<Self> {
        let kv = event.kv?;
        match event.r#type {
            0 => Some(Self::Put(kv.into())),
            1 => Some(Self::Delete { key: kv.key, revision: kv.mod_revision }),
            _ => None,
        }
    }
}

impl Head {
    pub(super) fn of(header: Option<&ResponseHeader>) -> Self {
        header.map_or_else(Self::default, |header| Self {
            cluster: header.cluster_id(),
            term: header.raft_term(),
            revision: header.revision(),
        })
    }
}
