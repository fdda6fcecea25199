//! Writing to etcd, so that nothing is overwritten that was not looked at: [`Store`].
//!
//! A request that got no answer may be carried out later, after a second try and after whatever the caller did next. So
//! every write is conditional on what was there: a late one then does nothing.

use std::sync::Arc;

use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse};

use crate::client::{EtcdError, EtcdErrorKind, Pool};
use crate::keys::Keys;
use crate::watch::Kv;

/// Each round that fails means that somebody else has written; so many in a row do not happen by chance.
const ROUNDS: usize = 200;

/// What to do, given what is there.
pub(crate) enum Decision<T> {
    /// Write this, if all that was looked at is still the same.
    Write(Vec<Op>, T),
    /// Write nothing.
    Leave(T),
}

/// One write of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Put a value; a lease of 0 is none.
    Put {
        key: String,
        value: Vec<u8>,
        lease: i64,
    },
    Delete {
        key: String,
    },
}

impl From<Op> for TxnOp {
    fn from(op: Op) -> Self {
        match op {
            Op::Put { key, value, lease: 0 } => TxnOp::put(key, value, None),
            Op::Put { key, value, lease } => {
                TxnOp::put(key, value, Some(PutOptions::new().with_lease(lease)))
            }
            Op::Delete { key } => TxnOp::delete(key, Some(DeleteOptions::new())),
        }
    }
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<T> {
    pub(crate) outcome: T,
    /// The store's revision at which it was done or, if nothing had to be, of the last write that was looked at.
    pub(crate) revision: i64,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// By looking.
    Read,
    /// As if nothing were there: saves a round trip where that is the rule.
    Absent,
}

/// The keys of one registry, for writing.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) pool: Arc<Pool>,
    pub(crate) keys: Keys,
}

impl Store {
    /// Looks at `keys`, lets `decide` say what to write, and writes it if nothing has changed meanwhile; else again.
    /// `decide` is also told whether an earlier round of this call may have been carried out unseen.
    pub(crate) async fn edit<T>(
        &self,
        operation: &'static str,
        keys: &[String],
        begin: Begin,
        decide: impl Fn(&[Option<Kv>], bool) -> Decision<T>,
    ) -> Result<Written<T>, EtcdError> {
        let mut again = false;
        let mut found = match begin {
            Begin::Read => self.read(operation, keys).await?,
            Begin::Absent => vec![None; keys.len()],
        };
        for _ in 0..ROUNDS {
            let (ops, outcome) = match decide(&found, again) {
                Decision::Leave(outcome) => {
                    let revision = found.iter().flatten().map(|kv| kv.revision).max().unwrap_or(0);
                    return Ok(Written { outcome, revision });
                }
                Decision::Write(ops, outcome) => (ops, outcome),
            };
            let unchanged: Vec<Compare> = keys
                .iter()
                .zip(&found)
                .map(|(key, kv)| {
                    let revision = kv.as_ref().map_or(0, |kv| kv.revision);
                    Compare::mod_revision(key.as_str(), CompareOp::Equal, revision)
                })
                .collect();
            let ops: Vec<TxnOp> = ops.into_iter().map(TxnOp::from).collect();
            let txn = Txn::new().when(unchanged).and_then(ops).or_else(gets(keys));
            let answer = self
                .pool
                .anywhere(operation, |conn| {
                    let txn = txn.clone();
                    async move { conn.kv().txn(txn).await }
                })
                .await?;
            if answer.value.succeeded() {
                let revision = answer.value.header().map_or(0, etcd_client::ResponseHeader::revision);
                return Ok(Written { outcome, revision });
            }
            again |= answer.repeated;
            found = values(answer.value.op_responses());
        }
        Err(EtcdError::new(operation, "", EtcdErrorKind::Other, "others write the same keys without end"))
    }

    async fn read(&self, operation: &'static str, keys: &[String]) -> Result<Vec<Option<Kv>>, EtcdError> {
        let txn = Txn::new().and_then(gets(keys));
        let answer = self
            .pool
            .anywhere(operation, |conn| {
                let txn = txn.clone();
                async move { conn.kv().txn(txn).await }
            })
            .await?;
        Ok(values(answer.value.op_responses()))
    }
}

fn gets(keys: &[String]) -> Vec<TxnOp> {
    keys.iter().map(|key| TxnOp::get(key.as_str(), Some(GetOptions::new()))).collect()
}

fn values(responses: Vec<TxnOpResponse>) -> Vec<Option<Kv>> {
    responses
        .into_iter()
        .map(|response| match response {
            TxnOpResponse::Get(mut get) => get.0.kvs.pop().map(Kv::from),
            _ => None,
        })
        .collect()
}
