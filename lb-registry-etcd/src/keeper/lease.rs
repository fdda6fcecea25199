//! The lease of the process: [`Lease`].

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use etcd_client::{LeaseKeepAliveStream, LeaseKeeper};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::client::{EtcdError, EtcdErrorKind, Pool};

/// For the answer to a sign of life.
const ANSWER: Duration = Duration::from_millis(1_500);

/// One lease, on which all announcements of the process live. Granted when it is first needed.
pub(crate) struct Lease {
    ttl: Duration,
    /// Held while one is granted or given back.
    id: Mutex<Option<i64>>,
    /// The same for who cannot wait; 0 is none.
    known: AtomicI64,
}

impl Lease {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, id: Mutex::new(None), known: AtomicI64::new(0) }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The lease, if there is one.
    pub(super) fn known(&self) -> Option<i64> {
        Some(self.known.load(Ordering::Acquire)).filter(|&id| id != 0)
    }

    /// The lease; one is granted if there is none.
    pub(super) async fn get(&self, pool: &Pool) -> Result<i64, EtcdError> {
        let mut id = self.id.lock().await;
        if let Some(id) = *id {
            return Ok(id);
        }
        let seconds = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let granted = pool
            .anywhere("grant a lease", |conn| async move { conn.lease().grant(seconds, None).await })
            .await?;
        let granted = granted.value.id();
        *id = Some(granted);
        self.known.store(granted, Ordering::Release);
        tracing::info!(lease = format_args!("{granted:x}"), ttl = ?self.ttl, "etcd has granted a lease");
        Ok(granted)
    }

    /// It is lost. Whether it was the one in use.
    pub(super) async fn lose(&self, lost: i64) -> bool {
        let mut id = self.id.lock().await;
        if *id != Some(lost) {
            return false;
        }
        *id = None;
        self.known.store(0, Ordering::Release);
        tracing::warn!(lease = format_args!("{lost:x}"), "etcd has lost the lease; another one is taken");
        true
    }

    /// Gives it back if `unused` says so, and with it everything that lives on it.
    pub(super) async fn give_back(&self, pool: &Pool, unused: impl Fn() -> bool) {
        let mut id = self.id.lock().await;
        let Some(held) = *id else { return };
        if !unused() {
            return;
        }
        *id = None;
        self.known.store(0, Ordering::Release);
        // Where this fails, the time-to-live does it.
        let revoked =
            pool.anywhere("revoke the lease", |conn| async move { conn.lease().revoke(held).await }).await;
        if let Err(error) = revoked {
            tracing::debug!(%error, "the lease is left to run out");
        }
    }
}

/// The stream over which signs of life are sent. Made anew, on the next member, whenever it breaks; never by the crate.
#[derive(Default)]
pub(super) struct Heartbeat {
    stream: Option<(i64, LeaseKeeper, LeaseKeepAliveStream)>,
    member: Option<usize>,
}

impl Heartbeat {
    /// One sign of life for `lease`, on one member; after a failure the next call asks the next one.
    pub(super) async fn beat(&mut self, pool: &Pool, lease: i64) -> Result<(), EtcdError> {
        let member = *self.member.get_or_insert_with(|| pool.current());
        let result = if let Some((_, keeper, stream)) = self.stream.take().filter(|stream| stream.0 == lease)
        {
            self.send(pool, member, lease, keeper, stream).await
        } else {
            // Opening one sends one.
            let open = |conn: crate::client::Conn| async move { conn.lease().keep_alive(lease).await };
            let opened = pool.on(member, "keep the lease", ANSWER, open).await;
            opened.map(|(keeper, stream)| self.stream = Some((lease, keeper, stream)))
        };
        if let Err(error) = &result
            && error.kind() != EtcdErrorKind::LeaseNotFound
        {
            self.member = Some(pool.after(member));
        }
        result
    }

    async fn send(
        &mut self,
        pool: &Pool,
        member: usize,
        lease: i64,
        mut keeper: LeaseKeeper,
        mut stream: LeaseKeepAliveStream,
    ) -> Result<(), EtcdError> {
        let endpoint = pool.endpoint(member);
        let exchange = async {
            keeper.keep_alive().await?;
            stream.message().await
        };
        let Ok(answer) = timeout(ANSWER, exchange).await else {
            return Err(EtcdError::timeout("keep the lease", endpoint, ANSWER));
        };
        match answer {
            Ok(Some(answer)) if answer.ttl() > 0 => {
                self.stream = Some((lease, keeper, stream));
                Ok(())
            }
            // An answer that grants no time is how etcd says that it does not know the lease.
            Ok(Some(_)) => {
                let message = "the lease is not known";
                Err(EtcdError::new("keep the lease", endpoint, EtcdErrorKind::LeaseNotFound, message))
            }
            Ok(None) => {
                let message = "the stream has ended";
                Err(EtcdError::new("keep the lease", endpoint, EtcdErrorKind::Unavailable, message))
            }
            Err(error) => Err(EtcdError::of("keep the lease", endpoint, &error)),
        }
    }
}
