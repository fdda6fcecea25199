//! Reading a whole range at one revision, page by page: [`list`].

use std::time::Duration;

use etcd_client::{GetOptions, GetResponse};

use super::Sink;
use super::machine::Head;
use super::wire::Kv;
use crate::client::{EtcdError, Pool};
use crate::keys::Range;

/// Keys per page: large enough to be quick, small enough that decoding one does not hold up the runtime.
const PAGE: i64 = 2_000;
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// Gives the sink all keys of `range` as of one revision. Also returns the key that was written last.
pub(super) async fn list(
    pool: &Pool,
    member: usize,
    range: &Range,
    sink: &dyn Sink,
) -> Result<(Head, Option<(Vec<u8>, i64)>), EtcdError> {
    sink.list_begins();
    let mut from = range.start.clone();
    let mut head: Option<Head> = None;
    let mut latest: Option<(Vec<u8>, i64)> = None;
    loop {
        let mut options = GetOptions::new().with_range(range.end.clone()).with_limit(PAGE);
        if let Some(head) = head {
            options = options.with_revision(head.revision);
        }
        let start = from.clone();
        let mut page: GetResponse = pool
            .on(member, "list", PAGE_LIMIT, |conn| async move { conn.kv().get(start, Some(options)).await })
            .await?;
        // The revision of the first page is the one that all are read at.
        let head = *head.get_or_insert_with(|| Head::of(page.header()));
        let more = page.more();
        let kvs: Vec<Kv> = std::mem::take(&mut page.0.kvs).into_iter().map(Kv::from).collect();
        if let Some(last) = kvs.last() {
            from.clone_from(&last.key);
            from.push(0);
        }
        if let Some(newest) = kvs.iter().max_by_key(|kv| kv.revision)
            && latest.as_ref().is_none_or(|(_, revision)| newest.revision > *revision)
        {
            latest = Some((newest.key.clone(), newest.revision));
        }
        let empty = kvs.is_empty();
        sink.page(kvs);
        if !more || empty {
            return Ok((head, latest));
        }
        tokio::task::yield_now().await;
    }
}
