//! The task that keeps the catalog up to date: [`Follower`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::registry::Freshness;
use lb_core::registry::shared::{Backoff, Catalog, Change, RuntimeClock};
use lb_core::{Clock, RandomSource, ServiceInstance, Time};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::ear::{Listen, Sound};
use super::health::{Health, Need, Verdict};
use super::message::Message;
use super::reading::{self, Reading, Version};
use super::sync::{Heard, Polled, Sync};
use super::translate::Translator;
use crate::connection::{Connected, ConnectionError, Link};
use crate::keys::{Namespace, ServiceKeys};
use crate::scripts::{Call, SWEEP};

/// What the follower is told.
pub(crate) enum Follow {
    /// Keep this service up to date as long as somebody watches it; say when it is known for the first time.
    Service(Arc<str>, oneshot::Sender<()>),
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
/// A second look at a version that differs.
const SECOND_LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whom nobody watches any more.
const TIDY: Duration = Duration::from_secs(1);
/// So many messages are taken over together, at most.
const BATCH: usize = 1024;
/// A whole reading is due that much less often per so many instances.
const LARGE: usize = 1000;
/// Who has been dead for that long is taken out by whoever sees it.
const LONG_DEAD: Duration = Duration::from_secs(600);

struct Followed {
    keys: ServiceKeys,
    channel: Arc<str>,
    sync: Sync,
    listening: bool,
    reading: bool,
    backoff: Backoff,
    /// Not before then is it read.
    read_at: Time,
    /// Read as a whole then, whatever its version.
    resync_at: Time,
    /// When the first instance expires or has expired, as of the last reading.
    first_expiry: Option<u64>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// What a piece of work in the background has brought.
enum Done {
    Read { service: Arc<str>, number: u64, result: Result<Reading, ConnectionError> },
    Polled { service: Arc<str>, result: Result<Version, ConnectionError> },
    Time(Result<u64, ConnectionError>),
    Swept,
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

impl<I: ServiceInstance> Follower<I> {
    pub(crate) async fn run(
        self,
        mut orders: mpsc::UnboundedReceiver<Follow>,
        mut sounds: mpsc::UnboundedReceiver<Sound>,
    ) {
        let now = self.clock.now();
        let mut connected = self.link.connected();
        connected.mark_changed();
        let mut state = State {
            services: HashMap::new(),
            by_channel: HashMap::new(),
            health: Health::new(PATIENCE, now),
            work: JoinSet::new(),
            poll_at: now,
            second_look: None,
            tidy_at: now + TIDY,
            offset: None,
            judge_at: now + self.settings.ttl,
            scan_at: now,
            known: Vec::new(),
        };
        let mut batch = Vec::new();
        loop {
            let now = self.clock.now();
            self.catalog.expire(now);
            let wake = self.due(&mut state, now);
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Follow::Service(service, known)) => self.follow(&mut state, service, known),
                    None => return,
                },
                n = sounds.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        return;
                    }
                    self.hear(&mut state, batch.drain(..));
                }
                Some(done) = state.work.join_next() => match done {
                    Ok(done) => self.done(&mut state, done),
                    Err(failed) => warn!(%failed, "a reading of the registry failed"),
                },
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
            if self.catalog.latest(&service).is_known() {
                // Others watch it, and see what is known: who comes now need not wait for an outage to be over, or to be
                // called one.
                let _ = known.send(());
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
            reading: false,
            backoff: Backoff::default(),
            read_at: now,
            resync_at: Time::MAX,
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

    fn hear(&self, state: &mut State, sounds: impl Iterator<Item = Sound>) {
        let now = self.clock.now();
        let mut changes: Vec<Change<I>> = Vec::new();
        for sound in sounds {
            match sound {
                Sound::Listening(channels) => {
                    state.scan_at = now;
                    self.catalog.counters().contact(SystemTime::now());
                    state.health.met(&Need::Subscription);
                    for channel in channels {
                        if let Some(followed) =
                            state.by_channel.get(&channel).and_then(|name| state.services.get_mut(name))
                        {
                            followed.listening = true;
                            followed.read_at = now;
                        }
                    }
                }
                Sound::Lost(why) => {
                    state.scan_at = now;
                    debug!(why, "changes are not heard");
                    if !state.services.is_empty() {
                        state.health.missing(Need::Subscription, now);
                    }
                    for (name, followed) in &mut state.services {
                        followed.listening = false;
                        followed.sync.lost();
                        state.health.missing(Need::Service(Arc::clone(name)), now);
                    }
                }
                Sound::Payload { channel, payload } => {
                    let Some(service) = state.by_channel.get(channel.as_str()).cloned() else { continue };
                    let Some(followed) = state.services.get_mut(&service) else { continue };
                    let Some(message) = Message::parse(&payload) else {
                        debug!(%service, "something that is no change was published");
                        continue;
                    };
                    match followed.sync.heard(message) {
                        Heard::Nothing => {}
                        Heard::Apply(message) => changes.extend(self.translator.message(&service, &message)),
                        Heard::Read => {
                            debug!(%service, "a change was not heard; the service is read");
                            followed.read_at = now;
                            state.scan_at = now;
                            state.health.missing(Need::Service(service), now);
                        }
                    }
                }
            }
        }
        if !changes.is_empty() {
            self.catalog.counters().contact(SystemTime::now());
            self.catalog.apply(changes, now);
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

    fn poll(&self, state: &mut State, whom: impl Fn(&Sync) -> bool) {
        if self.link.connected().borrow().session.is_none() {
            return;
        }
        let link = self.link.clone();
        state.work.spawn(async move { Done::Time(reading::time(&link).await) });
        for (name, followed) in &state.services {
            if followed.sync.version().is_some() && whom(&followed.sync) {
                let (link, service, keys) = (self.link.clone(), Arc::clone(name), followed.keys.clone());
                state.work.spawn(async move {
                    Done::Polled { service, result: reading::version(&link, &keys).await }
                });
            }
        }
    }

    /// Starts to read a service if it must be read; else says when it will have to be.
    fn read_if_due(&self, state: &mut State, name: &Arc<str>, now: Time) -> Option<Time> {
        let expired_before = self.expired_before(state, now);
        let followed = state.services.get_mut(name)?;
        if followed.reading || !followed.listening {
            return None;
        }
        let due = if followed.sync.version().is_some() { followed.resync_at } else { followed.read_at };
        if now < due {
            return Some(due);
        }
        followed.reading = true;
        let number = followed.sync.reading();
        let (link, service, keys) = (self.link.clone(), Arc::clone(name), followed.keys.clone());
        state.work.spawn(async move {
            Done::Read { service, number, result: reading::read(&link, &keys, expired_before).await }
        });
        None
    }

    /// Who expired before this, by the server's clock in ms, is not there any more, though nobody has reaped them.
    fn expired_before(&self, state: &State, now: Time) -> u64 {
        match state.offset {
            Some(offset) if now >= state.judge_at => {
                let server = millis(now).saturating_add_signed(offset);
                server.saturating_sub(self.settings.ttl.as_millis() as u64)
            }
            _ => 0,
        }
    }

    fn done(&self, state: &mut State, done: Done) {
        let now = self.clock.now();
        state.scan_at = now;
        match done {
            Done::Time(Ok(server)) => {
                state.offset = Some(server as i64 - millis(now) as i64);
                state.health.met(&Need::Commands);
                self.catalog.counters().contact(SystemTime::now());
            }
            Done::Time(Err(_)) => {
                self.catalog.counters().failed();
                state.health.missing(Need::Commands, now);
                state.poll_at = state.poll_at.min(now + Duration::from_secs(1));
            }
            Done::Polled { service, result: Ok(version) } => self.compare(state, &service, &version, now),
            Done::Polled { .. } => self.catalog.counters().failed(),
            Done::Read { service, number, result } => self.read(state, &service, number, result, now),
            Done::Swept => {}
        }
    }

    fn compare(&self, state: &mut State, service: &Arc<str>, version: &Version, now: Time) {
        let expired_before = self.expired_before(state, now);
        let Some(followed) = state.services.get_mut(service) else { return };
        match followed.sync.polled(version.number, &version.epoch) {
            Polled::Doubt => state.second_look = Some(now + SECOND_LOOK),
            Polled::Read => {
                debug!(%service, "the version is another one; the service is read");
                followed.read_at = now;
                state.health.missing(Need::Service(Arc::clone(service)), now);
            }
            Polled::Same => {
                let expired = |at: &Option<u64>| at.is_some_and(|at| at <= expired_before);
                let changed = followed.first_expiry != version.first_expiry;
                if changed && (expired(&version.first_expiry) || expired(&followed.first_expiry)) {
                    followed.resync_at = now;
                }
            }
        }
    }

    fn read(
        &self,
        state: &mut State,
        service: &Arc<str>,
        number: u64,
        result: Result<Reading, ConnectionError>,
        now: Time,
    ) {
        let judged = state.offset.is_some() && now >= state.judge_at;
        let Some(followed) = state.services.get_mut(service) else { return };
        followed.reading = false;
        let reading = match result {
            Ok(reading) => reading,
            Err(error) => {
                self.catalog.counters().failed();
                let wait = followed.backoff.next(&*self.random);
                followed.read_at = now + wait;
                followed.resync_at = followed.resync_at.max(now + wait);
                if followed.backoff.failures() == 1 {
                    warn!(%service, %error, "a service cannot be read; it is tried again");
                }
                return;
            }
        };
        followed.backoff.reset();
        followed.read_at = now;
        let more = 1 + reading.instances.len() / LARGE;
        let spread = 0.8 + 0.4 * self.random.unit();
        followed.resync_at = now + self.settings.resync.mul_f64(spread * (more.min(15) as f64));
        let was_known = followed.sync.version().is_some();
        let Some((heard, again)) = followed.sync.read(number, reading.version, &reading.epoch) else {
            return;
        };
        // Whoever is known to be dead is not looked at again until something changes.
        followed.first_expiry = reading.expired.first().map(|(_, at)| *at).filter(|_| judged);

        let known = self.catalog.applied(service);
        let (removed, mut listing) = self.translator.reading(service, &reading, known);
        if reading.version < known {
            warn!(%service, known, found = reading.version, "the history of the registry has gone back");
            listing = listing.rewound();
        } else {
            self.catalog.apply(removed, now);
        }
        // Outdated it cannot be: what is older than what is known was said to be rewound.
        let _ = self.catalog.reset_service(service, listing, now);
        let heard: Vec<_> =
            heard.iter().flat_map(|message| self.translator.message(service, message)).collect();
        if !heard.is_empty() {
            self.catalog.apply(heard, now);
        }
        self.catalog.counters().contact(SystemTime::now());
        if !was_known {
            debug!(%service, version = reading.version, instances = reading.instances.len(), "a service was read");
        }
        if !again {
            state.health.met(&Need::Service(Arc::clone(service)));
            state.known.append(&mut followed.waiting);
        }
        let long_dead = LONG_DEAD.max(self.settings.ttl * 10).as_millis() as u64;
        if reading.expired.iter().any(|(_, at)| at + long_dead < reading.now) {
            let call = Call::new(&SWEEP, followed.keys.for_scripts())
                .arg(followed.keys.channel())
                .arg(format!("{:016x}", self.random.next_u64()))
                .number(long_dead)
                .number(64);
            let link = self.link.clone();
            state.work.spawn(async move {
                // Who may only read leaves it to others.
                let _ = link.call(&call).await;
                Done::Swept
            });
        }
    }
}

fn millis(time: Time) -> u64 {
    time.as_nanos() / 1_000_000
}
