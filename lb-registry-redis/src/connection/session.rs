//! One connection, while it lasts: [`Session`].

use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::Slot;
use redis::{Arg, Cmd, Pipeline, RedisError, Value};

use super::address::Node;
use super::verdict::Trouble;
use crate::keys::is_key;

#[derive(Clone)]
enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// One connection, while it lasts. Many commands run over it at the same time.
pub(crate) struct Session {
    /// Counts the sessions of a link.
    pub(crate) number: u64,
    /// Whom it goes to; `None` in a Cluster.
    pub(crate) node: Option<Node>,
    wire: Wire,
    timeouts: AtomicU32,
}

/// What is sent.
pub(crate) enum Request<'a> {
    Command(&'a Cmd),
    /// All commands must concern one slot.
    Pipeline(&'a Pipeline),
    /// The same in one step of the server.
    Transaction(&'a Transaction),
}

/// Commands that the server carries out in one step.
pub(crate) struct Transaction {
    /// Atomic. All commands must concern one slot.
    pub(crate) commands: Pipeline,
    /// A command that concerns the same slot and changes nothing.
    pub(crate) guide: Cmd,
}

impl Request<'_> {
    /// The slot that it concerns, by the first key of ours in it; of some that have no key, none.
    pub(super) fn slot(&self) -> Option<Slot> {
        let command = match self {
            Self::Command(command) => Some(*command),
            Self::Pipeline(pipeline) => pipeline.cmd_iter().next(),
            Self::Transaction(transaction) => Some(&transaction.guide),
        };
        let key = command?.args_iter().find_map(|arg| match arg {
            Arg::Simple(arg) if is_key(arg) => Some(arg),
            _ => None,
        });
        key.map(Slot::for_key)
    }
}

impl Session {
    pub(crate) fn one(number: u64, node: Node, connection: MultiplexedConnection) -> Self {
        Self { number, node: Some(node), wire: Wire::One(connection), timeouts: AtomicU32::new(0) }
    }

    pub(crate) fn cluster(number: u64, connection: ClusterConnection) -> Self {
        Self { number, node: None, wire: Wire::Cluster(connection), timeouts: AtomicU32::new(0) }
    }

    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Value, RedisError> {
        match &self.wire {
            Wire::One(connection) => ask(connection.clone(), request).await,
            Wire::Cluster(connection) => ask(connection.clone(), request).await,
        }
    }

    /// Notes an answer.
    pub(crate) fn answered(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
    }

    /// Notes a timeout; the how manyth in a row it is.
    pub(crate) fn timed_out(&self) -> u32 {
        self.timeouts.fetch_add(1, Ordering::Relaxed) + 1
    }
}

async fn ask(mut connection: impl ConnectionLike, request: &Request<'_>) -> Result<Value, RedisError> {
    match request {
        Request::Command(command) => connection.req_packed_command(command).await?.extract_error(),
        // The type decides nothing but how the answer is unpacked.
        Request::Pipeline(pipeline) => pipeline.query_async(&mut connection).await,
        Request::Transaction(Transaction { commands, guide }) => {
            let answer = commands.query_async(&mut connection).await;
            match &answer {
                Err(error) if Trouble::of(error) == Trouble::Elsewhere => {
                    // In a Cluster the client library goes where a single command is sent, and remembers the way. Where
                    // a transaction is sent it never goes, however often that is refused.
                    connection.req_packed_command(guide).await?.extract_error()?;
                    commands.query_async(&mut connection).await
                }
                _ => answer,
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use redis::AsyncConnectionConfig;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A session with a server that answers so to whatever ends in a command of that name, one after the other.
    pub(in super::super) async fn session<const N: usize>(
        script: [(&'static str, &'static str); N],
    ) -> Session {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let login = redis::RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&login, ours, config).await;
        let (connection, driver) = made.unwrap();
        tokio::spawn(driver);
        tokio::spawn(async move {
            for (command, answer) in script {
                let mut asked = Vec::new();
                while !String::from_utf8_lossy(&asked).contains(command) {
                    assert_ne!(theirs.read_buf(&mut asked).await.unwrap(), 0, "{command} was not asked");
                }
                theirs.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Session::one(1, Node { host: "h".into(), port: 1 }, connection)
    }

    fn transaction() -> Transaction {
        let mut commands = redis::pipe();
        commands.atomic().cmd("GET").arg("k");
        let mut guide = redis::cmd("EXISTS");
        guide.arg("k");
        Transaction { commands, guide }
    }

    const MOVED: &str = "+OK\r\n-MOVED 7 h:2\r\n-EXECABORT discarded\r\n";

    #[tokio::test]
    async fn a_transaction_that_is_sent_elsewhere_is_guided_there() {
        let done = "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n5\r\n";
        let session = session([("EXEC", MOVED), ("EXISTS", ":0\r\n"), ("EXEC", done)]).await;
        let answer = session.send(&Request::Transaction(&transaction())).await.unwrap();
        assert_eq!(answer, Value::Array(vec![Value::BulkString(b"5".to_vec())]));
    }

    #[tokio::test]
    async fn where_the_guide_cannot_go_the_transaction_cannot() {
        let session = session([("EXEC", MOVED), ("EXISTS", "-CLUSTERDOWN down\r\n")]).await;
        let error = session.send(&Request::Transaction(&transaction())).await.unwrap_err();
        assert_eq!(Trouble::of(&error), Trouble::NotReady, "{error}");
    }

    #[tokio::test]
    async fn a_transaction_is_refused_for_what_its_commands_are_refused_for() {
        let down = "+OK\r\n-CLUSTERDOWN down\r\n-EXECABORT discarded\r\n";
        let denied = "+OK\r\n-NOPERM denied\r\n-EXECABORT discarded\r\n";
        let session = session([("EXEC", down), ("EXEC", denied)]).await;
        for trouble in [Trouble::NotReady, Trouble::Refused] {
            let error = session.send(&Request::Transaction(&transaction())).await.unwrap_err();
            assert_eq!(Trouble::of(&error), trouble, "{error}");
        }
    }
}
