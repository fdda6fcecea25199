//! Asking Redis: [`Link`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lb_core::RandomSource;
use lb_core::Secret;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Topology;
use super::dial::{Dial, error_of};
use super::error::ConnectionError;
use super::session::{Request, Session, Transaction};
use super::supervisor::{Complaint, Supervisor};
use super::unserved::Unserved;
use super::verdict::{Trouble, Verdict};
use crate::scripts::Call;

/// What the link is at.
#[derive(Clone, Default)]
pub(crate) struct Connected {
    pub(crate) session: Option<Arc<Session>>,
    /// Why there is none.
    pub(crate) last_error: Option<Arc<str>>,
}

/// The way to Redis. Clones share it. There is always at most one session, which a task of its own keeps up.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    connected: watch::Receiver<Connected>,
    complaints: mpsc::UnboundedSender<Complaint>,
    topology: Topology,
    dial: Dial,
    supervisor: AbortHandle,
    /// How many long answers are being waited for.
    apart: AtomicUsize,
    /// Of a Cluster.
    unserved: Mutex<Unserved>,
}

/// Long answers get that many times longer than commands do.
pub(crate) const LONG: u32 = 10;

impl Drop for Inner {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Link {
    /// Starts to connect, in the background.
    pub(crate) fn start(
        topology: Topology,
        dial: Dial,
        sentinel_login: (Option<String>, Option<Secret>),
        random: Arc<dyn RandomSource>,
    ) -> Self {
        let (publish, connected) = watch::channel(Connected::default());
        let (complaints, received) = mpsc::unbounded_channel();
        let supervisor =
            Supervisor::new(topology.clone(), dial.clone(), sentinel_login, random, publish, received);
        let supervisor = tokio::spawn(supervisor.run()).abort_handle();
        Self(Arc::new(Inner {
            connected,
            complaints,
            topology,
            dial,
            supervisor,
            apart: AtomicUsize::new(0),
            unserved: Mutex::default(),
        }))
    }

    pub(crate) fn connected(&self) -> watch::Receiver<Connected> {
        self.0.connected.clone()
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.0.topology
    }

    pub(crate) fn dial(&self) -> &Dial {
        &self.0.dial
    }

    /// Something else on the way to Redis has stalled: have the session looked at.
    pub(crate) fn suspect(&self) {
        if let Some(session) = &self.0.connected.borrow().session {
            let _ = self.0.complaints.send(Complaint::Suspect(session.number));
        }
    }

    /// Sends one command.
    pub(crate) async fn query(&self, command: &Cmd) -> Result<Value, ConnectionError> {
        self.send(&Request::Command(command)).await.map_err(|(error, _)| error)
    }

    /// Sends several commands of one slot, together.
    pub(crate) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Value, ConnectionError> {
        self.send(&Request::Pipeline(pipeline)).await.map_err(|(error, _)| error)
    }

    /// The same in one step of the server.
    pub(crate) async fn transaction(&self, transaction: &Transaction) -> Result<Value, ConnectionError> {
        self.send(&Request::Transaction(transaction)).await.map_err(|(error, _)| error)
    }

    /// The same, where the answer is so long that other commands must not wait for it, nor it for their time: over a
    /// connection of its own, with [`LONG`] times as long.
    pub(crate) async fn transaction_apart(
        &self,
        transaction: &Transaction,
    ) -> Result<Value, ConnectionError> {
        let session = self.session(Instant::now() + self.0.dial.timeouts.command).await?;
        let dial = self.0.dial.patient(LONG);
        let _apart = Apart::new(&self.0.apart);
        let asking = async {
            let apart = match (&session.node, self.topology()) {
                (None, Topology::Cluster(seeds)) => {
                    Session::cluster(session.number, dial.connect_cluster(seeds).await?)
                }
                (Some(node), _) => Session::one(session.number, node.clone(), dial.connect(node).await?),
                (None, _) => return Err(ConnectionError::NotConnected { last: None }),
            };
            let after = dial.timeouts.command;
            match timeout(after, apart.send(&Request::Transaction(transaction))).await {
                Ok(answer) => answer.map_err(|error| error_of(&error, after)),
                Err(_) => Err(ConnectionError::Timeout { after }),
            }
        };
        // What has made the one useless has done so with the other.
        let mut connected = self.0.connected.clone();
        let replaced =
            connected.wait_for(|now| now.session.as_ref().is_none_or(|s| s.number != session.number));
        tokio::select! {
            answer = asking => answer,
            _ = replaced => {
                Err(ConnectionError::Lost { problem: "the connection was replaced during a long answer".into() })
            }
        }
    }

    /// Whether a long answer is on its way.
    pub(crate) fn waits_for_long_answers(&self) -> bool {
        self.0.apart.load(Ordering::Relaxed) > 0
    }

    /// Runs a script, which the server may have forgotten.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, ConnectionError> {
        match self.send(&Request::Command(&call.by_hash())).await {
            Err((_, Trouble::NoScript)) => self.query(&call.in_full()).await,
            other => other.map_err(|(error, _)| error),
        }
    }

    async fn send(&self, request: &Request<'_>) -> Result<Value, (ConnectionError, Trouble)> {
        let after = self.0.dial.timeouts.command;
        let give_up = Instant::now() + after;
        let session = self.session(give_up).await.map_err(|error| (error, Trouble::Lost))?;
        let trouble = match timeout_at(give_up, session.send(request)).await {
            Ok(Ok(answer)) => {
                session.answered();
                if session.node.is_none() {
                    self.unserved().served(|| request.slot());
                }
                return Ok(answer);
            }
            Ok(Err(error)) => (error_of(&error, after), Trouble::of(&error)),
            Err(_) => (ConnectionError::Timeout { after }, Trouble::Timeout),
        };
        let timeouts = if trouble.1 == Trouble::Timeout { session.timed_out() } else { 0 };
        if trouble.1.verdict(timeouts) == Verdict::Replace {
            let _ = self.0.complaints.send(Complaint::Broken(session.number, trouble.0.to_string()));
        } else if trouble.1 == Trouble::Timeout {
            let _ = self.0.complaints.send(Complaint::Suspect(session.number));
        } else if matches!(trouble.1, Trouble::NotReady | Trouble::Elsewhere)
            && session.node.is_none()
            && let Some(slot) = request.slot()
            && self.unserved().refused(slot, session.number, Instant::now())
        {
            let why = format!("a slot has not been served over it for long: {}", trouble.0);
            let _ = self.0.complaints.send(Complaint::Broken(session.number, why));
        }
        Err(trouble)
    }

    fn unserved(&self) -> MutexGuard<'_, Unserved> {
        self.0.unserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, as soon as there is one.
    async fn session(&self, give_up: Instant) -> Result<Arc<Session>, ConnectionError> {
        let mut connected = self.0.connected.clone();
        let waited = timeout_at(give_up, connected.wait_for(|connected| connected.session.is_some())).await;
        if let Ok(Ok(connected)) = &waited
            && let Some(session) = &connected.session
        {
            return Ok(Arc::clone(session));
        }
        drop(waited);
        let last = self.0.connected.borrow().last_error.as_ref().map(ToString::to_string);
        Err(ConnectionError::NotConnected { last })
    }

    /// Waits until there is a session, at most for `bound`.
    pub(crate) async fn ready(&self, bound: Duration) -> Result<(), ConnectionError> {
        self.session(Instant::now() + bound).await.map(drop)
    }
}

/// Counts a long answer while it is waited for.
struct Apart<'a>(&'a AtomicUsize);

impl<'a> Apart<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Timeouts;
    use super::super::session::tests::session;
    use super::*;

    impl Link {
        /// A link to a Cluster whose only session is one with a server that answers so, see [`session`]; and what the
        /// session is complained of.
        pub(crate) async fn scripted<const N: usize>(
            script: [(&'static str, &'static str); N],
        ) -> (Self, mpsc::UnboundedReceiver<Complaint>) {
            let mut session = session(script).await;
            session.node = None;
            let (publish, connected) =
                watch::channel(Connected { session: Some(Arc::new(session)), last_error: None });
            let (complaints, received) = mpsc::unbounded_channel();
            let timeouts = Timeouts::default();
            let link = Self(Arc::new(Inner {
                connected,
                complaints,
                topology: Topology::Cluster(Vec::new()),
                dial: Dial { user: None, password: None, database: 0, tls: None, timeouts },
                // Holds the session.
                supervisor: tokio::spawn(async move { publish.closed().await }).abort_handle(),
                apart: AtomicUsize::new(0),
                unserved: Mutex::default(),
            }));
            (link, received)
        }
    }

    const DOWN: &str = "-CLUSTERDOWN down\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_session_to_a_cluster_that_is_down_for_long_where_it_leads_is_replaced() {
        let script = [("GET", DOWN), ("GET", "$-1\r\n"), ("GET", DOWN), ("TIME", "*0\r\n"), ("GET", DOWN)];
        let (link, mut complaints) = Link::scripted(script).await;
        let mut get = redis::cmd("GET");
        get.arg("lb:{n/s}:v");
        let wait = Duration::from_secs(30);
        let down = async |command: &Cmd| {
            let answer = link.query(command).await;
            tokio::time::advance(wait).await;
            matches!(answer, Err(ConnectionError::NotReady { .. }))
        };
        assert!(down(&get).await);
        assert!(!down(&get).await);
        assert!(down(&get).await);
        assert!(complaints.try_recv().is_err(), "it was served in between");
        assert!(!down(&redis::cmd("TIME")).await, "which is no slot's");
        assert!(down(&get).await);
        let Ok(Complaint::Broken(1, why)) = complaints.try_recv() else { panic!("it is not replaced") };
        assert!(why.ends_with("ClusterDown: down"), "{why}");
    }

    #[test]
    fn a_request_has_the_slot_of_its_first_key() {
        let slot = |command: &Cmd| Request::Command(command).slot();
        let call = Call::new(&crate::scripts::TOUCH, ["lb:{n}:services".to_owned()]).arg("lb:{n/s}:v");
        let key = Some(redis::cluster_routing::Slot::for_key("n"));
        assert_eq!((slot(&call.by_hash()), slot(&call.in_full())), (key, key));
        assert_eq!(slot(&redis::cmd("TIME")), None);
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg("lb:{n}:v");
        let transaction = Transaction { commands: redis::pipe(), guide: Cmd::exists("lb:{n}:v") };
        assert_eq!(Request::Pipeline(&pipeline).slot(), key);
        assert_eq!(Request::Transaction(&transaction).slot(), key);
    }
}
