//! The subscription: [`Ear`], a task with a connection of its own.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lb_core::RandomSource;
use lb_core::registry::shared::Backoff;
use redis::Value;
use redis::aio::{PubSub, PubSubSink};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};

use crate::connection::{Connected, ConnectionError, Link, Node, Topology};

/// What the ear is told.
#[derive(Debug)]
pub(crate) enum Listen {
    /// To this channel, too.
    To(Arc<str>),
    /// Not to this channel any more.
    NoMore(Arc<str>),
}

/// What the ear tells.
#[derive(Debug)]
pub(crate) enum Sound {
    /// From now on nothing on these channels is missed, until [`Lost`](Self::Lost).
    Listening(Vec<Arc<str>>),
    /// Somebody has published.
    Payload { channel: String, payload: Vec<u8> },
    /// The connection is gone, and with it what was said since it stalled.
    Lost(String),
}

/// So many channels in one command.
const AT_ONCE: usize = 512;

/// A subscription that has lived for so long was no fluke.
const PROVEN: Duration = Duration::from_secs(5);

pub(crate) struct Ear {
    link: Link,
    random: Arc<dyn RandomSource>,
    orders: mpsc::UnboundedReceiver<Listen>,
    tell: mpsc::UnboundedSender<Sound>,
    wanted: BTreeSet<Arc<str>>,
    /// How often a node was chosen; in a Cluster the next one is tried after a failure.
    tries: usize,
}

type Ping = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Ear {
    pub(crate) fn new(
        link: Link,
        random: Arc<dyn RandomSource>,
        orders: mpsc::UnboundedReceiver<Listen>,
        tell: mpsc::UnboundedSender<Sound>,
    ) -> Self {
        Self { link, random, orders, tell, wanted: BTreeSet::new(), tries: 0 }
    }

    /// Listens for ever; returns when nobody gives orders any more.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut failed_before = false;
        loop {
            // Nobody wants to hear anything: no connection is needed.
            while self.wanted.is_empty() {
                match self.orders.recv().await {
                    Some(order) => self.note(order),
                    None => return,
                }
            }
            let since = Instant::now();
            let (why, finished) = match self.connect().await {
                Ok((node, pubsub)) => {
                    info!(%node, "subscribed to Redis");
                    failed_before = false;
                    self.listen(node, pubsub).await
                }
                Err(error) => (error.to_string(), false),
            };
            if finished {
                return;
            }
            if !failed_before {
                info!(why, "the subscription to Redis is made anew");
            }
            failed_before = true;
            self.link.suspect();
            if self.tell.send(Sound::Lost(why)).is_err() {
                return;
            }
            if since.elapsed() >= PROVEN {
                backoff.reset();
            }
            sleep(backoff.next(&*self.random)).await;
        }
    }

    fn note(&mut self, order: Listen) {
        match order {
            Listen::To(channel) => self.wanted.insert(channel),
            Listen::NoMore(channel) => self.wanted.remove(&channel),
        };
    }

    async fn connect(&mut self) -> Result<(Node, PubSub), ConnectionError> {
        let node = match self.link.topology() {
            Topology::Standalone(node) => node.clone(),
            // Messages in a Cluster reach every node, so any will do.
            Topology::Cluster(seeds) => {
                let nodes = cluster_nodes(&self.link, seeds).await;
                let start = self.random.below(nodes.len());
                let node = nodes[(start + self.tries) % nodes.len()].clone();
                self.tries += 1;
                node
            }
            Topology::Sentinel { .. } => {
                let bound = self.link.dial().timeouts.connect;
                self.link.ready(bound).await?;
                let node = self.link.connected().borrow().session.as_ref().and_then(|s| s.node.clone());
                node.ok_or(ConnectionError::NotConnected { last: None })?
            }
        };
        let pubsub = self.link.dial().subscribe(&node).await?;
        Ok((node, pubsub))
    }

    /// Returns why it ended, and whether it is for good.
    async fn listen(&mut self, node: Node, pubsub: PubSub) -> (String, bool) {
        let (mut sink, mut stream) = pubsub.split();
        let wanted: Vec<_> = self.wanted.iter().cloned().collect();
        if let Err(why) = self.subscribe(&mut sink, wanted).await {
            return (why, false);
        }
        let timeouts = self.link.dial().timeouts;
        let mut connected = self.link.connected();
        let mut next_ping = Instant::now() + timeouts.ping;
        let mut ping: Option<Ping> = None;
        loop {
            tokio::select! {
                order = self.orders.recv() => {
                    let Some(order) = order else { return (String::new(), true) };
                    if let Err(why) = self.obey(order, &mut sink).await {
                        return (why, false);
                    }
                }
                message = stream.next() => match message {
                    Some(message) => {
                        // It lives.
                        next_ping = Instant::now() + timeouts.ping;
                        let channel = message.get_channel_name().to_owned();
                        let payload = message.get_payload_bytes().to_vec();
                        if self.tell.send(Sound::Payload { channel, payload }).is_err() {
                            return (String::new(), true);
                        }
                    }
                    None => return ("the server closed the subscription".into(), false),
                },
                () = sleep_until(next_ping), if ping.is_none() => ping = Some(send_ping(sink.clone(), timeouts.ping)),
                pong = async { match &mut ping { Some(ping) => ping.await, None => std::future::pending().await } } => {
                    ping = None;
                    next_ping = Instant::now() + timeouts.ping;
                    if let Err(why) = pong {
                        return (why, false);
                    }
                }
                moved = moved(&mut connected, &node) => {
                    return (moved, false);
                }
            }
        }
    }

    /// Obeys an order, and those that have come meanwhile.
    async fn obey(&mut self, order: Listen, sink: &mut PubSubSink) -> Result<(), String> {
        let (mut new, mut old) = (Vec::new(), Vec::new());
        let mut next = Some(order);
        while let Some(order) = next {
            match &order {
                Listen::To(channel) => new.push(Arc::clone(channel)),
                Listen::NoMore(channel) => old.push(Arc::clone(channel)),
            }
            self.note(order);
            next = self.orders.try_recv().ok();
        }
        // What was wanted and is not any more, or the other way round, needs nothing.
        new.retain(|channel| self.wanted.contains(channel));
        old.retain(|channel| !self.wanted.contains(channel));
        let bound = self.link.dial().timeouts.command;
        for channels in old.chunks(AT_ONCE) {
            in_time(bound, sink.unsubscribe(names(channels))).await?;
        }
        self.subscribe(sink, new).await
    }

    async fn subscribe(&mut self, sink: &mut PubSubSink, channels: Vec<Arc<str>>) -> Result<(), String> {
        let bound = self.link.dial().timeouts.command;
        for channels in channels.chunks(AT_ONCE) {
            in_time(bound, sink.subscribe(names(channels))).await?;
            debug!(channels = channels.len(), "listening");
            let _ = self.tell.send(Sound::Listening(channels.to_vec()));
        }
        Ok(())
    }
}

fn names(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}

async fn in_time(
    bound: Duration,
    asking: impl Future<Output = redis::RedisResult<()>>,
) -> Result<(), String> {
    match timeout(bound, asking).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer to a subscription within {bound:?}")),
    }
}

fn send_ping(mut sink: PubSubSink, bound: Duration) -> Ping {
    Box::pin(async move {
        match timeout(bound, sink.ping::<Value>()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer to a ping within {bound:?}")),
        }
    })
}

/// Returns when commands go to another server than `node`.
async fn moved(connected: &mut watch::Receiver<Connected>, node: &Node) -> String {
    loop {
        if connected.changed().await.is_err() {
            return std::future::pending().await;
        }
        let elsewhere =
            connected.borrow().session.as_ref().and_then(|s| s.node.clone()).filter(|n| n != node);
        if let Some(other) = elsewhere {
            return format!("the master is {other} now");
        }
    }
}

/// The nodes of a Cluster that are known by now; at least the seeds.
async fn cluster_nodes(link: &Link, seeds: &[Node]) -> Vec<Node> {
    let mut nodes = seeds.to_vec();
    if link.connected().borrow().session.is_some()
        && let Ok(Value::Array(ranges)) = link.query(redis::cmd("CLUSTER").arg("SLOTS")).await
    {
        for range in ranges {
            let Value::Array(range) = range else { continue };
            for node in range.iter().skip(2) {
                if let Value::Array(node) = node
                    && let [Value::BulkString(host), Value::Int(port), ..] = &node[..]
                    && let (Ok(host), Ok(port)) = (String::from_utf8(host.clone()), u16::try_from(*port))
                    && !host.is_empty()
                {
                    nodes.push(Node { host, port });
                }
            }
        }
    }
    nodes.sort();
    nodes.dedup();
    nodes
}
