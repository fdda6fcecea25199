//! One connection, while it lasts: [`Session`].

use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisError, Value};

use super::address::Node;

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
    }
}
