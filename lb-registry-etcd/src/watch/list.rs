//! Reading a whole range at one revision, page by page: [`list`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use etcd_client::{GetOptions, GetResponse};
use tokio::task::JoinHandle;

use super::Sink;
use super::fence::Fences;
use super::machine::Head;
use super::wire::Kv;
use crate::client::{EtcdError, EtcdErrorKind, Pool};
use crate::keys::Range;

/// Keys per page. etcd counts all keys that follow, for each page anew: few large pages are much quicker than many small
/// ones.
const PAGE: i64 = 10_000;
/// If a page of so many values is too large for one message, it is asked for in parts, but not in smaller ones than this.
const LEAST: i64 = 10;
/// Values that are decoded at a time, before others on this thread have their turn.
const CHUNK: usize = 500;
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// One page, as of `revision`, or as of now if that is 0.
async fn page(
    pool: &Pool,
    member: usize,
    (start, end): (Vec<u8>, Vec<u8>),
    limit: i64,
    revision: i64,
) -> Result<GetResponse, EtcdError> {
    let options = GetOptions::new().with_range(end).with_limit(limit).with_revision(revision);
    pool.on(member, "list", PAGE_LIMIT, |conn| async move { conn.kv().get(start, Some(options)).await }).await
}

/// Gives the sink all keys of `range` as of one revision. Also returns what was written last.
pub(super) async fn list(
    pool: &Arc<Pool>,
    member: usize,
    range: &Range,
    sink: &dyn Sink,
) -> Result<(Head, Fences), EtcdError> {
    sink.list_begins();
    let mut limit = PAGE;
    let mut from = range.start.clone();
    let mut head = Head::default();
    let mut latest: Option<Kv> = None;
    let mut next: Option<Fetching> = None;
    loop {
        let fetched = match next.take() {
            Some(fetching) => fetching.await,
            None => page(pool, member, (from.clone(), range.end.clone()), limit, head.revision).await,
        };
        let mut fetched = match fetched {
            Err(error) if error.kind() == EtcdErrorKind::TooLarge && limit > LEAST => {
                limit = (limit / 10).max(LEAST);
                continue;
            }
            result => result?,
        };
        if head == Head::default() {
            // The revision of the first page is the one that all are read at.
            head = Head::of(fetched.header());
        }
        let kvs = std::mem::take(&mut fetched.0.kvs);
        if let Some(last) = kvs.last().filter(|_| fetched.more()) {
            from.clone_from(&last.key);
            from.push(0);
            // etcd works on the next page while this one is decoded.
            next =
                Some(Fetching::start(pool, member, (from.clone(), range.end.clone()), limit, head.revision));
        }
        let mut kvs = kvs.into_iter().map(Kv::from).peekable();
        while kvs.peek().is_some() {
            let chunk: Vec<Kv> = kvs.by_ref().take(CHUNK).collect();
            if let Some(newest) = chunk.iter().max_by_key(|kv| kv.revision)
                && latest.as_ref().is_none_or(|latest| newest.revision > latest.revision)
            {
                let (key, revision, lease) = (newest.key.clone(), newest.revision, newest.lease);
                latest = Some(Kv { key, value: Vec::new(), revision, lease });
            }
            sink.page(chunk);
            tokio::task::yield_now().await;
        }
        if next.is_none() {
            return Ok((head, Fences::of_list(latest.as_ref(), head.revision)));
        }
    }
}

/// A page that is on its way. Given up when this is dropped.
struct Fetching(JoinHandle<Result<GetResponse, EtcdError>>);

impl Fetching {
    fn start(pool: &Arc<Pool>, member: usize, keys: (Vec<u8>, Vec<u8>), limit: i64, revision: i64) -> Self {
        let pool = Arc::clone(pool);
        Self(tokio::spawn(async move { page(&pool, member, keys, limit, revision).await }))
    }
}

impl Future for Fetching {
    type Output = Result<GetResponse, EtcdError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = ready!(Pin::new(&mut self.0).poll(cx));
        let gone = |_| EtcdError::new("list", "", EtcdErrorKind::Unavailable, "the runtime is shutting down");
        Poll::Ready(done.unwrap_or_else(|error| Err(gone(error))))
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}
