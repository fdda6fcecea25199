//! Signs of life for the lease of the process: [`Heartbeat`].

use std::time::Duration;

use etcd_client::{LeaseKeepAliveStream, LeaseKeeper};
use tokio::time::timeout;

use crate::client::{EtcdError, EtcdErrorKind, Pool};

/// The longest that the answer to a sign of life is waited for.
const LONGEST: Duration = Duration::from_millis(1_500);

/// The stream over which signs of life are sent. Made anew, on the next member, whenever it breaks; never by the crate.
pub(super) struct Heartbeat {
    /// How long an answer may take: short enough that another member can be asked before the next one is due.
    answer: Duration,
    stream: Option<(i64, LeaseKeeper, LeaseKeepAliveStream)>,
    member: Option<usize>,
}

impl Heartbeat {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { answer: (ttl / 6).min(LONGEST), stream: None, member: None }
    }

    /// One sign of life for `lease`, from whichever member takes it.
    pub(super) async fn beat(&mut self, pool: &Pool, lease: i64) -> Result<(), EtcdError> {
        let mut last = self.beat_once(pool, lease).await;
        for _ in 1..pool.len() {
            match &last {
                Err(error) if error.kind() != EtcdErrorKind::LeaseNotFound => {
                    last = self.beat_once(pool, lease).await;
                }
                _ => break,
            }
        }
        last
    }

    /// One sign of life, on one member; after a failure the next call asks the next one.
    async fn beat_once(&mut self, pool: &Pool, lease: i64) -> Result<(), EtcdError> {
        let member = *self.member.get_or_insert_with(|| pool.current());
        let result = if let Some((_, keeper, stream)) = self.stream.take().filter(|stream| stream.0 == lease)
        {
            self.send(pool, member, lease, keeper, stream).await
        } else {
            // Opening one sends one.
            let open = |conn: crate::client::Conn| async move { conn.lease().keep_alive(lease).await };
            let opened = pool.on(member, "keep the lease", self.answer, open).await;
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
        let Ok(answer) = timeout(self.answer, exchange).await else {
            return Err(EtcdError::timeout("keep the lease", endpoint, self.answer));
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
