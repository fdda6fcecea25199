//! The task that keeps the catalog up to date: [`Follower`].
//!
//! Here: when something is due, whom it follows, and the connection. What is heard is in `hearing`, what is asked for in
//! `asking`.

mod asking;
mod hearing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::registry::Freshness;
use lb_core::registry::shared::{Backoff, Catalog, RuntimeClock};
use lb_core::{Clock, RandomSource, ServiceInstance, Time};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};

use self::asking::{DEAF, Done};
use super::ear::{Listen, Sound};
use super::health::{Health, Need, Verdict};
use super::sync::Sync;
use super::translate::Translator;
use crate::connection::{Connected, Link};
use crate::keys::{Namespace, ServiceKeys};

/// What the follower is told.
pub(crate) enum Follow {
    /// Keep this service up to date as long as somebody watches it; say when it is known for the first time.
    Service(Arc<str>, oneshot::Sender<()>),
    /// This process has written to a service, which is at this version since.
    Wrote(Arc<str>, u64),
}

/// By which numbers the follower goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) poll: Duration,
    pub(crate) resync: Duration,
    pub(crate) ttl: Duration,
}

/// How long something may be missing before what is known is called stale.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whom nobody watches any more.
const TIDY: Duration = Duration::from_secs(1);
/// So many messages are taken over together, at most.
const BATCH: usize = 1024;

struct Followed {
    keys: ServiceKeys,
    channel: Arc<str>,
    sync: Sync,
    listening: bool,
    /// Since when it has not been, if it is not.
    deaf_since: Time,
    /// Since when it is being read, and by which task, if it is.
    reading: Option<(Time, task::Id)>,
    /// Whether it is read over a connection of its own.
    apart: bool,
    backoff: Backoff,
    /// Not before then is it read.
    read_at: Time,
    /// Read as a whole then, whatever its version.
    resync_at: Time,
    /// The version of the last write of this process.
    wrote: u64,
    /// When the first instance expires or has expired, as of the last reading.
    first_expiry: Option<u64>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Keeps the catalog up to date. One task per registry.
pub(crate) struct Follower<I> {
    pub(crate) link: Link,
    pub(crate) catalog: Catalog<I>,
    pub(crate) translator: Translator<I>,
    pub(crate) namespace: Namespace,
    pub(crate) clock: RuntimeClock,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) settings: Settings,
    pub(crate) listen: mpsc::UnboundedSender<Listen>,
}

struct State {
    services: HashMap<Arc<str>, Followed>,
    by_channel: HashMap<Arc<str>, Arc<str>>,
    health: Health,
    work: JoinSet<Done>,
    poll_at: Time,
    second_look: Option<Time>,
    tidy_at: Time,
    /// The server's clock minus ours, in ms.
    offset: Option<i64>,
    /// Before this nobody is taken for expired: they may not have been able to beat.
    judge_at: Time,
    /// When it is looked next whether a service must be read.
    scan_at: Time,
    /// Who waited for a service that is known now.
    known: Vec<oneshot::Sender<()>>,
}

impl State {
    fn new(now: Time, ttl: Duration) -> Self {
        Self {
            services: HashMap::new(),
            by_channel: HashMap::new(),
            health: Health::new(PATIENCE, now),
            work: JoinSet::new(),
            poll_at: now,
            second_look: None,
            tidy_at: now + TIDY,
            offset: None,
            judge_at: now + ttl,
            scan_at: now,
            known: Vec::new(),
        }
    }
}

impl<I: ServiceInstance> Follower<I> {
    pub(crate) async fn run(
        self,
        mut orders: mpsc::UnboundedReceiver<Follow>,
        mut sounds: mpsc::UnboundedReceiver<Sound>,
    ) {
        let now = self.clock.now();
        let mut connected = self.link.connected();
        connected.mark_changed();
        let mut state = State::new(now, self.settings.ttl);
        let mut batch = Vec::new();
        loop {
            let now = self.clock.now();
            self.catalog.expire(now);
            let wake = self.due(&mut state, now);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Follow::Service(service, known)) => self.follow(&mut state, service, known),
                    Some(Follow::Wrote(service, version)) => {
                        if let Some(followed) = state.services.get_mut(&service) {
                            followed.wrote = followed.wrote.max(version);
                        }
                    }
                    None => return,
                },
                n = sounds.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        return;
                    }
                    self.hear(&mut state, batch.drain(..));
                }
                Some(ended) = state.work.join_next() => self.ended(&mut state, ended),
                _ = connected.changed() => self.connection(&mut state, &mut connected),
                () = self.clock.sleep_until(Some(wake)) => {}
            }
        }
    }

    /// Does what is due, says how well it is, and when something is due next.
    fn due(&self, state: &mut State, now: Time) -> Time {
        if now >= state.tidy_at {
            state.tidy_at = now + TIDY;
            self.tidy(state);
        }
        if now >= state.poll_at {
            // Five seconds become 4 to 5.5, so that a fleet does not ask in step.
            state.poll_at = now + self.settings.poll.mul_f64(0.8 + 0.3 * self.random.unit());
            self.poll(state, |_| true);
        }
        if state.second_look.is_some_and(|at| now >= at) {
            state.second_look = None;
            self.poll(state, Sync::is_doubted);
        }
        let mut wake = state.poll_at.min(state.tidy_at);
        wake = wake.min(state.second_look.unwrap_or(Time::MAX));
        wake = wake.min(self.catalog.next_deadline().unwrap_or(Time::MAX));
        if now >= state.scan_at {
            let names: Vec<_> = state.services.keys().cloned().collect();
            let due = names.iter().filter_map(|name| self.read_if_due(state, name, now)).min();
            state.scan_at = due.unwrap_or(Time::MAX);
        }
        wake = wake.min(state.scan_at);
        match state.health.verdict(now) {
            Verdict::Live => self.catalog.set_freshness(Freshness::Live, now),
            Verdict::Wait(until) => return wake.min(until),
            Verdict::Stale => {
                self.catalog.set_freshness(Freshness::Stale { since: SystemTime::now() }, now);
            }
        }
        // Only now, so that they find a snapshot that says how far to trust it.
        for known in state.known.drain(..) {
            let _ = known.send(());
        }
        wake
    }

    fn follow(&self, state: &mut State, service: Arc<str>, known: oneshot::Sender<()>) {
        let now = self.clock.now();
        if let Some(followed) = state.services.get_mut(&service) {
            let connected = self.link.connected().borrow().session.is_some();
            let read = followed.sync.version().is_some() || followed.reading.is_some();
            let behind = !followed.listening || followed.wrote > followed.sync.version().unwrap_or(0);
            if self.catalog.latest(&service).is_known() {
                // Others watch it, and see what is known: who comes now need not wait for an outage to be over, or to be
                // called one.
                let _ = known.send(());
            } else if connected && read && behind {
                // As far as is known there is nothing; but whoever asks may have just written something.
                followed.sync.lost();
                followed.read_at = followed.read_at.max(now);
                followed.deaf_since = now - DEAF;
                followed.waiting.push(known);
                state.scan_at = now;
                state.health.missing(Need::Service(service), now);
            } else if followed.sync.version().is_some() {
                state.known.push(known);
            } else {
                followed.waiting.push(known);
            }
            return;
        }
        let keys = self.namespace.service(&service);
        let channel: Arc<str> = keys.channel().into();
        let followed = Followed {
            keys,
            channel: Arc::clone(&channel),
            sync: Sync::default(),
            listening: false,
            deaf_since: now,
            reading: None,
            apart: false,
            backoff: Backoff::default(),
            read_at: now,
            resync_at: Time::MAX,
            wrote: 0,
            first_expiry: None,
            waiting: vec![known],
        };
        state.by_channel.insert(Arc::clone(&channel), Arc::clone(&service));
        state.health.missing(Need::Service(Arc::clone(&service)), now);
        state.services.insert(service, followed);
        state.scan_at = now;
        let _ = self.listen.send(Listen::To(channel));
    }

    /// Lets go of services that nobody watches.
    fn tidy(&self, state: &mut State) {
        let watched: std::collections::HashSet<_> = self.catalog.watched().into_iter().collect();
        let idle: Vec<_> = state
            .services
            .iter()
            .filter(|(name, followed)| {
                !watched.contains(*name) && followed.waiting.iter().all(oneshot::Sender::is_closed)
            })
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in idle {
            // Somebody may have come in between; then it stays.
            if !self.catalog.let_go(&name) {
                continue;
            }
            if let Some(followed) = state.services.remove(&name) {
                state.by_channel.remove(&followed.channel);
                let _ = self.listen.send(Listen::NoMore(followed.channel));
            }
            state.health.met(&Need::Service(name));
        }
        if self.catalog.freshness() == Freshness::Live {
            // From a cache, and nobody has asked for it: it is not kept up to date.
            for name in self.catalog.services() {
                if !state.services.contains_key(&*name) {
                    self.catalog.let_go(&name);
                }
            }
        }
        if state.services.is_empty() {
            // Nobody listens, and nobody needs to.
            state.health.met(&Need::Subscription);
        }
    }

    /// The connection for commands is there, or gone.
    fn connection(&self, state: &mut State, connected: &mut watch::Receiver<Connected>) {
        let now = self.clock.now();
        if connected.borrow_and_update().session.is_none() {
            state.health.missing(Need::Commands, now);
            return;
        }
        self.catalog.counters().reconnected();
        state.health.met(&Need::Commands);
        state.scan_at = now;
        // Whoever could not beat gets time to do so; and the clock may be another server's.
        state.judge_at = now + self.settings.ttl;
        state.offset = None;
        state.poll_at = now;
        for followed in state.services.values_mut() {
            followed.backoff.reset();
            followed.read_at = now;
        }
    }
}
