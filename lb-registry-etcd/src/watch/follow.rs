//! The shell around [`Machine`]: does the steps over the network and says what it saw.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions, WatchResponse, WatchStream};
use lb_core::RandomSource;
use tokio::time::{Instant, sleep_until, timeout};

use super::Sink;
use super::fence::Fences;
use super::list::list;
use super::machine::{Head, Machine, Seen, Step, Why};
use super::wire::Change;
use crate::client::{EtcdError, EtcdErrorKind, Pool, kind_of_reason};
use crate::keys::Range;

/// How long things may take in following a range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How often the server is asked for a sign of life.
    pub(crate) progress: Duration,
    /// How long none may come.
    pub(crate) silence: Duration,
    /// For the answer to a probe.
    pub(crate) probe: Duration,
    /// For a barrier, and for opening a watch.
    pub(crate) open: Duration,
    /// How long the range may be without a watch before that is said.
    pub(crate) lost: Duration,
    /// How often everything is listed to be compared; each time 20 % shorter or longer, by chance.
    pub(crate) anti_entropy: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            progress: Duration::from_secs(1),
            silence: Duration::from_millis(2_500),
            probe: Duration::from_secs(1),
            open: Duration::from_millis(1_500),
            lost: Duration::from_secs(1),
            anti_entropy: Duration::from_secs(300),
        }
    }
}

/// Follows one range for ever.
pub(crate) struct Follow {
    pool: Arc<Pool>,
    range: Range,
    sink: Arc<dyn Sink>,
    random: Arc<dyn RandomSource>,
    timing: Timing,
    machine: Machine,
    stream: Option<WatchStream>,
    fences: Fences,
    due: Instant,
    following: bool,
    /// When to say that the range is not followed; `None` if it is, or if it was said.
    lost_at: Option<Instant>,
}

impl Follow {
    pub(crate) fn new(
        pool: Arc<Pool>,
        range: Range,
        sink: Arc<dyn Sink>,
        random: Arc<dyn RandomSource>,
        timing: Timing,
    ) -> Self {
        let machine = Machine::new(pool.len(), pool.current());
        let lost_at = Some(Instant::now() + timing.lost);
        let due = Instant::now();
        let (stream, fences, following) = (None, Fences::default(), false);
        let mut follow =
            Self { pool, range, sink, random, timing, machine, stream, fences, due, following, lost_at };
        follow.set_due();
        follow
    }

    fn set_due(&mut self) {
        self.due = Instant::now() + self.timing.anti_entropy.mul_f64(0.8 + 0.4 * self.random.unit());
    }

    /// Never returns; dropped by whoever no longer needs it.
    pub(crate) async fn run(mut self) {
        loop {
            let seen = self.perform_or_say().await;
            let member = self.machine.member();
            if let Seen::Failed(_) | Seen::Canceled { .. } = seen
                && self.machine.step() != Step::Relist
            {
                self.stream = None;
            }
            if seen == Seen::Alive {
                self.sink.alive();
            }
            self.machine.see(seen, &*self.random);
            if self.machine.member() != member {
                self.pool.avoid(member);
                tracing::debug!(
                    to = self.pool.endpoint(self.machine.member()),
                    "following etcd on another member"
                );
            }
            self.say(seen);
        }
    }

    /// Says whether the range is followed. A watch that was opened is as good as a sign of life: what was written
    /// before it comes first.
    fn say(&mut self, seen: Seen) {
        let opened = self.machine.step() == Step::Read && matches!(seen, Seen::Opened(_));
        if self.machine.is_well() || opened {
            if !self.following {
                (self.following, self.lost_at) = (true, None);
                self.sink.connected(self.pool.endpoint(self.machine.member()));
            }
        } else if self.following && matches!(seen, Seen::Failed(_) | Seen::Canceled { .. }) {
            (self.following, self.lost_at) = (false, Some(Instant::now() + self.timing.lost));
        }
    }

    async fn perform_or_say(&mut self) -> Seen {
        let Some(at) = self.lost_at else { return self.perform().await };
        let sink = Arc::clone(&self.sink);
        let mut said = false;
        let seen = {
            let work = self.perform();
            tokio::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    seen = &mut work => break seen,
                    () = sleep_until(at), if !said => {
                        said = true;
                        sink.lost();
                    }
                }
            }
        };
        if said {
            self.lost_at = None;
        }
        seen
    }

    async fn perform(&mut self) -> Seen {
        let member = self.machine.member();
        let result = match self.machine.step() {
            Step::List => {
                self.stream = None;
                self.list(member).await
            }
            Step::Relist => self.list(member).await,
            Step::Barrier => self.barrier(member).await,
            Step::Open { from } => self.open(member, from).await,
            Step::Read => self.read().await,
            Step::Probe => self.probe(member).await,
            Step::Authenticate => {
                let limit = self.timing.open;
                let refreshed = self
                    .pool
                    .on(member, "authenticate", limit, |conn| async move { conn.refresh_token().await });
                refreshed.await.map(|()| Seen::Done)
            }
            Step::Wait(wait) => {
                tokio::time::sleep(wait).await;
                Ok(Seen::Done)
            }
        };
        result.unwrap_or_else(|error| {
            self.sink.failed(&error);
            Seen::Failed(error.kind())
        })
    }

    async fn list(&mut self, member: usize) -> Result<Seen, EtcdError> {
        let why = self.machine.why();
        self.set_due();
        let (head, fences) = list(&self.pool, member, &self.range, &*self.sink).await?;
        self.fences = fences;
        let rewound = why == Why::HistoryLost || self.machine.is_other_history(head);
        self.sink.list_ends(head.revision, head.cluster, why, rewound);
        Ok(Seen::Listed(head))
    }

    async fn barrier(&mut self, member: usize) -> Result<Seen, EtcdError> {
        // A key within the range, so that a role that may read the range may read it.
        let key = self.fences.key().unwrap_or(&self.range.start).to_vec();
        let (head, now) = self.look(member, key.clone(), 0).await?;
        let Some(fences) = self.fences.in_history_at(head.revision) else {
            return Ok(Seen::Caught { head, diverged: true });
        };
        for fence in fences {
            let stands = match self.look(member, fence.key.clone(), fence.revision).await {
                Ok((_, then)) => fence.stands(then),
                Err(error) if error.kind() == EtcdErrorKind::Compacted => {
                    fence.key != key || fence.may_stand(now)
                }
                Err(error) => return Err(error),
            };
            if !stands {
                return Ok(Seen::Caught { head, diverged: true });
            }
        }
        Ok(Seen::Caught { head, diverged: false })
    }

    /// When a key was written last and its lease, as of a revision; 0: as of now, for sure. And where the history stands.
    async fn look(
        &self,
        member: usize,
        key: Vec<u8>,
        revision: i64,
    ) -> Result<(Head, Option<(i64, i64)>), EtcdError> {
        let options = GetOptions::new().with_keys_only().with_revision(revision);
        let answer =
            self.pool
                .on(member, "read", self.timing.open, |conn| async move {
                    conn.kv().get(key, Some(options)).await
                })
                .await?;
        let found = answer.kvs().first().map(|kv| (kv.mod_revision(), kv.lease()));
        Ok((Head::of(answer.header()), found))
    }

    async fn probe(&mut self, member: usize) -> Result<Seen, EtcdError> {
        let key = self.range.start.clone();
        let options = GetOptions::new().with_keys_only().with_serializable();
        self.pool
            .on(
                member,
                "read",
                self.timing.probe,
                |conn| async move { conn.kv().get(key, Some(options)).await },
            )
            .await?;
        Ok(Seen::Alive)
    }

    async fn open(&mut self, member: usize, from: i64) -> Result<Seen, EtcdError> {
        self.stream = None;
        let key = self.range.start.clone();
        let options =
            WatchOptions::new().with_range(self.range.end.clone()).with_start_revision(from).with_fragment();
        let (stream, first) = self
            .pool
            .on(member, "watch", self.timing.open, |conn| async move {
                let mut stream = conn.watch().watch(key, Some(options)).await?;
                let first = stream.message().await?;
                Ok((stream, first))
            })
            .await?;
        let Some(first) = first else {
            return Ok(Seen::Failed(EtcdErrorKind::Unavailable));
        };
        if first.canceled() {
            return Ok(self.canceled(&first));
        }
        self.stream = Some(stream);
        Ok(Seen::Opened(Head::of(first.header())))
    }

    fn canceled(&self, response: &WatchResponse) -> Seen {
        let compacted = response.compact_revision() > 0;
        let kind = kind_of_reason(response.cancel_reason());
        let endpoint = self.pool.endpoint(self.machine.member());
        tracing::info!(endpoint, compacted, reason = response.cancel_reason(), "etcd ended the watch");
        if !compacted {
            self.sink.failed(&EtcdError::new("watch", endpoint, kind, response.cancel_reason()));
        }
        Seen::Canceled { compacted, kind }
    }

    async fn read(&mut self) -> Result<Seen, EtcdError> {
        let Some(stream) = &mut self.stream else {
            return Ok(Seen::Failed(EtcdErrorKind::Unavailable));
        };
        let silent = Instant::now() + self.timing.silence;
        let mut ask = Instant::now() + self.timing.progress;
        let response = loop {
            tokio::select! {
                biased;
                message = stream.message() => break message,
                () = sleep_until(silent) => return Ok(Seen::Silent),
                () = sleep_until(self.due) => return Ok(Seen::Due),
                () = sleep_until(ask) => {
                    ask = Instant::now() + self.timing.progress;
                    // The requests queue; a queue that is full is a connection that takes nothing, and so silent.
                    let _ = timeout(self.timing.progress, stream.request_progress()).await;
                }
            }
        };
        let endpoint = self.pool.endpoint(self.machine.member());
        match response {
            Ok(Some(response)) if response.canceled() => Ok(self.canceled(&response)),
            Ok(Some(response)) => Ok(self.take(response)),
            Ok(None) => {
                Err(EtcdError::new("watch", endpoint, EtcdErrorKind::Unavailable, "the stream has ended"))
            }
            Err(error) => Err(EtcdError::of("watch", endpoint, &error)),
        }
    }

    /// Passes the events on that are not known yet.
    fn take(&mut self, response: WatchResponse) -> Seen {
        let known = self.machine.revision();
        let mut last = 0;
        let mut changes = Vec::with_capacity(response.0.events.len());
        for event in response.0.events {
            let Some(change) = Change::of(event) else { continue };
            last = last.max(change.revision());
            if change.revision() > known {
                changes.push(change);
            }
        }
        if last == 0 {
            return Seen::Alive;
        }
        for change in &changes {
            self.fences.see(change);
        }
        if !changes.is_empty() {
            self.sink.changes(changes);
        }
        Seen::Events { last }
    }
}
