//! Who is the master, by what the sentinels say.

use std::collections::HashMap;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address::Node;
use super::dial::Dial;
use super::error::ConnectionError;

/// What one sentinel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opinion {
    pub(crate) master: Node,
    /// Grows with every failover.
    pub(crate) epoch: u64,
}

/// The master of the latest failover that any sentinel knows of. Not the majority: it may not have heard yet, and who
/// was cut off keeps naming the old one.
pub(crate) fn master(opinions: impl IntoIterator<Item = Opinion>) -> Option<Node> {
    let mut count: HashMap<(u64, Node), usize> = HashMap::new();
    for opinion in opinions {
        *count.entry((opinion.epoch, opinion.master)).or_default() += 1;
    }
    count.into_iter().max_by_key(|((epoch, _), votes)| (*epoch, *votes)).map(|((_, node), _)| node)
}

/// Reads the answer to `SENTINEL MASTER`.
fn opinion(answer: &Value) -> Option<Opinion> {
    let fields: HashMap<String, String> = redis::from_redis_value_ref(answer).ok()?;
    let host = fields.get("ip").filter(|host| !host.is_empty())?.clone();
    let port = fields.get("port")?.parse().ok()?;
    let epoch = fields.get("config-epoch")?.parse().ok()?;
    Some(Opinion { master: Node { host, port }, epoch })
}

/// Connections to the sentinels, each made when it is needed.
pub(crate) struct Sentinels {
    name: String,
    dial: Dial,
    all: Vec<(Node, Option<MultiplexedConnection>)>,
}

impl Sentinels {
    pub(crate) fn new(sentinels: Vec<Node>, name: String, dial: Dial) -> Self {
        Self { name, dial, all: sentinels.into_iter().map(|node| (node, None)).collect() }
    }

    /// Asks all sentinels at once and goes by those who answer in time.
    pub(crate) async fn master(&mut self) -> Result<Node, ConnectionError> {
        let mut asking = JoinSet::new();
        for (n, (node, connection)) in self.all.iter_mut().enumerate() {
            let (dial, name, node, connection) =
                (self.dial.clone(), self.name.clone(), node.clone(), connection.take());
            asking.spawn(async move { (n, ask(&dial, &node, connection, &name).await) });
        }
        let mut opinions = Vec::new();
        let mut problem = None;
        while let Some(done) = asking.join_next().await {
            match done {
                Ok((n, Ok((connection, answer)))) => {
                    self.all[n].1 = Some(connection);
                    match answer {
                        Some(opinion) => opinions.push(opinion),
                        None => {
                            problem = Some(format!("a sentinel does not know the master {:?}", self.name));
                        }
                    }
                }
                Ok((_, Err(error))) => problem = Some(error.to_string()),
                Err(failed) => problem = Some(failed.to_string()),
            }
        }
        master(opinions).ok_or(ConnectionError::NotConnected { last: problem })
    }
}

async fn ask(
    dial: &Dial,
    node: &Node,
    connection: Option<MultiplexedConnection>,
    name: &str,
) -> Result<(MultiplexedConnection, Option<Opinion>), ConnectionError> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => dial.connect(node).await?,
    };
    let after = dial.timeouts.command;
    let mut command = redis::cmd("SENTINEL");
    command.arg("MASTER").arg(name);
    let asked = timeout(after, command.query_async::<Value>(&mut connection)).await;
    match asked {
        Err(_) => Err(ConnectionError::Timeout { after }),
        Ok(Ok(answer)) => Ok((connection, opinion(&answer))),
        // Alive, and does not know it.
        Ok(Err(error)) if matches!(error.kind(), redis::ErrorKind::Server(_)) => Ok((connection, None)),
        Ok(Err(error)) => Err(super::dial::error_of(&error, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(port: u16, epoch: u64) -> Opinion {
        Opinion { master: Node { host: "h".into(), port }, epoch }
    }

    #[test]
    fn the_latest_failover_counts_not_the_majority() {
        assert_eq!(master([]), None);
        assert_eq!(master([says(1, 0), says(1, 0), says(2, 1)]).map(|n| n.port), Some(2));
        assert_eq!(master([says(1, 3), says(2, 3), says(2, 3)]).map(|n| n.port), Some(2));
    }

    #[test]
    fn an_answer_that_is_none_is_no_opinion() {
        let text = |s: &str| Value::BulkString(s.as_bytes().to_vec());
        let fields = |port: &str| {
            Value::Array(vec![
                text("ip"),
                text("::1"),
                text("port"),
                text(port),
                text("config-epoch"),
                text("7"),
            ])
        };
        let node = Node { host: "::1".into(), port: 6379 };
        assert_eq!(opinion(&fields("6379")), Some(Opinion { master: node, epoch: 7 }));
        assert_eq!(opinion(&fields("65536")), None);
        assert_eq!(opinion(&Value::Nil), None);
    }
}
