//! One member of the etcd cluster and the client that talks to it: [`Member`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{Client, KvClient, LeaseClient, WatchClient};

use super::error::{EtcdError, EtcdErrorKind};
use super::pool::Settings;

/// Beyond the largest response that a page of instances makes; the crate's own bound is 4 MiB.
const MAX_MESSAGE: usize = 64 << 20;
/// A connection on which so many requests in a row got no answer is given up. A connection that only swallows what is
/// sent looks like a slow server, and nothing else ever replaces it.
const SILENCES: u32 = 2;

/// A client for one member, as of one moment.
#[derive(Clone)]
pub(crate) struct Conn {
    client: Client,
    /// Which of the member's clients this is.
    generation: u64,
}

impl Conn {
    pub(crate) fn kv(&self) -> KvClient {
        self.client.kv_client().max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn lease(&self) -> LeaseClient {
        self.client.lease_client()
    }

    pub(crate) fn watch(&self) -> WatchClient {
        self.client.watch_client().max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) async fn refresh_token(&self) -> Result<(), etcd_client::Error> {
        self.client.refresh_token().await
    }
}

/// One endpoint. Its client is made when it is first needed, because making one with a user talks to the server.
pub(crate) struct Member {
    endpoint: String,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    client: Option<Client>,
    generation: u64,
    silences: u32,
}

impl Member {
    pub(super) fn new(endpoint: String) -> Self {
        Self { endpoint, slot: Mutex::default() }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client; made anew if there is none. Two callers who make one at once are both served, one client stays.
    pub(super) async fn conn(&self, settings: &Settings) -> Result<Conn, EtcdError> {
        {
            let slot = self.slot();
            if let Some(client) = &slot.client {
                return Ok(Conn { client: client.clone(), generation: slot.generation });
            }
        }
        let client = self.connect(settings).await?;
        let mut slot = self.slot();
        let client = slot.client.get_or_insert(client).clone();
        Ok(Conn { client, generation: slot.generation })
    }

    async fn connect(&self, settings: &Settings) -> Result<Client, EtcdError> {
        let connect = async |with_user: bool| {
            let options = settings.options(with_user);
            let connecting = Client::connect([&self.endpoint], Some(options));
            match tokio::time::timeout(settings.attempt, connecting).await {
                Ok(Ok(client)) => Ok(client),
                Ok(Err(error)) => Err(EtcdError::of("connect", &self.endpoint, &error)),
                Err(_) => Err(EtcdError::timeout("connect", &self.endpoint, settings.attempt)),
            }
        };
        match connect(true).await {
            Err(error) if error.kind() == EtcdErrorKind::AuthNotEnabled => {
                tracing::warn!(
                    endpoint = self.endpoint,
                    "authentication is not enabled on etcd; the user is not used"
                );
                connect(false).await
            }
            result => result,
        }
    }

    /// Notes how a request over `conn` ended.
    pub(super) fn note(&self, conn: &Conn, silent: bool) {
        let mut slot = self.slot();
        if slot.generation != conn.generation {
            return;
        }
        slot.silences = if silent { slot.silences + 1 } else { 0 };
        if slot.silences >= SILENCES {
            *slot = Slot { client: None, generation: slot.generation + 1, silences: 0 };
            tracing::debug!(
                endpoint = self.endpoint,
                "no answers on this connection; a new one will be made"
            );
        }
    }

    /// One request, bounded in time.
    pub(super) async fn call<T, Fut>(
        &self,
        settings: &Settings,
        operation: &'static str,
        limit: Duration,
        call: impl FnOnce(Conn) -> Fut,
    ) -> Result<T, EtcdError>
    where
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let conn = self.conn(settings).await?;
        let answer = tokio::time::timeout(limit, call(conn.clone())).await;
        self.note(&conn, answer.is_err());
        match answer {
            Ok(result) => result.map_err(|error| EtcdError::of(operation, &self.endpoint, &error)),
            Err(_) => Err(EtcdError::timeout(operation, &self.endpoint, limit)),
        }
    }
}
