//! The task that keeps a session up: [`Supervisor`].

use std::sync::Arc;
use std::time::Duration;

use lb_core::RandomSource;
use lb_core::Secret;
use lb_core::registry::shared::Backoff;
use redis::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::address::{Node, Topology};
use super::dial::{Dial, error_of};
use super::error::ConnectionError;
use super::link::Connected;
use super::sentinel::Sentinels;
use super::session::{Request, Session};

/// What those who use a session have to say about it, by its number.
pub(crate) enum Complaint {
    /// It is of no more use, and why.
    Broken(u64, String),
    /// It may be.
    Suspect(u64),
}

/// How often the sentinels are asked.
const ASK_SENTINELS: Duration = Duration::from_secs(1);

/// A connection that has lived for so long was no fluke.
const PROVEN: Duration = Duration::from_secs(5);

enum Who {
    One(Node),
    Sentinels(Box<Sentinels>),
    Cluster(Vec<Node>),
}

pub(super) struct Supervisor {
    who: Who,
    dial: Dial,
    random: Arc<dyn RandomSource>,
    publish: watch::Sender<Connected>,
    complaints: mpsc::UnboundedReceiver<Complaint>,
    sessions: u64,
}

impl Supervisor {
    pub(super) fn new(
        topology: Topology,
        dial: Dial,
        sentinel_login: (Option<String>, Option<Secret>),
        random: Arc<dyn RandomSource>,
        publish: watch::Sender<Connected>,
        complaints: mpsc::UnboundedReceiver<Complaint>,
    ) -> Self {
        let who = match topology {
            Topology::Standalone(node) => Who::One(node),
            Topology::Cluster(nodes) => Who::Cluster(nodes),
            Topology::Sentinel { sentinels, master } => {
                let (user, password) = sentinel_login;
                Who::Sentinels(Box::new(Sentinels::new(sentinels, master, dial.with_login(user, password))))
            }
        };
        Self { who, dial, random, publish, complaints, sessions: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.connect().await {
                Ok(session) => {
                    let session = Arc::new(session);
                    let node = session.node.as_ref().map(ToString::to_string);
                    info!(node, "connected to Redis");
                    self.publish
                        .send_replace(Connected { session: Some(Arc::clone(&session)), last_error: None });
                    let since = Instant::now();
                    let why = self.guard(&session).await;
                    warn!(node, why, "the connection to Redis is replaced");
                    self.lost(&why);
                    // What flaps is not retried faster and faster.
                    if since.elapsed() >= PROVEN {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    // Once per reason: an outage must not fill the log.
                    if self.publish.borrow().last_error.as_deref() != Some(&why) {
                        warn!(why, "cannot connect to Redis; it is being tried again");
                    }
                    self.lost(&why);
                }
            }
            sleep(backoff.next(&*self.random)).await;
        }
    }

    fn lost(&self, why: &str) {
        self.publish.send_replace(Connected { session: None, last_error: Some(why.into()) });
    }

    async fn connect(&mut self) -> Result<Session, ConnectionError> {
        self.sessions += 1;
        let number = self.sessions;
        match &mut self.who {
            Who::One(node) => Ok(Session::one(number, node.clone(), self.dial.connect(node).await?)),
            Who::Cluster(nodes) => Ok(Session::cluster(number, self.dial.connect_cluster(nodes).await?)),
            Who::Sentinels(sentinels) => {
                let node = sentinels.master().await?;
                let session = Session::one(number, node.clone(), self.dial.connect(&node).await?);
                // Sentinels name the new master before it knows.
                match self.ask(&session, &redis::cmd("ROLE")).await? {
                    Value::Array(role) if role.first().is_some_and(is_master) => Ok(session),
                    _ => Err(ConnectionError::NotReady { problem: format!("{node} is not the master yet") }),
                }
            }
        }
    }

    /// Returns when the session must be replaced, and says why.
    async fn guard(&mut self, session: &Session) -> String {
        let mut ask_sentinels = interval(ASK_SENTINELS);
        ask_sentinels.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watched = matches!(self.who, Who::Sentinels(_));
        loop {
            tokio::select! {
                complaint = self.complaints.recv() => match complaint {
                    Some(Complaint::Broken(number, why)) if number == session.number => return why,
                    Some(Complaint::Suspect(number)) if number == session.number => {
                        if let Err(error) = self.ask(session, &redis::cmd("PING")).await {
                            // A refusal is an answer.
                            if !matches!(error, ConnectionError::Refused { .. } | ConnectionError::NotReady { .. }) {
                                return error.to_string();
                            }
                        }
                    }
                    Some(_) => {}
                    // Nobody is left who could use it.
                    None => std::future::pending().await,
                },
                _ = ask_sentinels.tick(), if watched => {
                    if let Who::Sentinels(sentinels) = &mut self.who
                        && let Ok(master) = sentinels.master().await
                        && session.node.as_ref() != Some(&master)
                    {
                        return format!("the sentinels name {master} as the master");
                    }
                }
            }
        }
    }

    async fn ask(&self, session: &Session, command: &redis::Cmd) -> Result<Value, ConnectionError> {
        let after = self.dial.timeouts.command;
        match timeout(after, session.send(&Request::Command(command))).await {
            Ok(answer) => answer.map_err(|error| error_of(&error, after)),
            Err(_) => Err(ConnectionError::Timeout { after }),
        }
    }
}

fn is_master(role: &Value) -> bool {
    matches!(role, Value::BulkString(name) if name == b"master")
}
