//! What Redis is asked, and what is made of the answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::{Clock, RandomSource, ServiceInstance, Time};
use tokio::task::JoinError;
use tracing::{debug, warn};

use super::{Followed, Follower, State};
use crate::connection::ConnectionError;
use crate::scripts::{Call, SWEEP};
use crate::watch::health::Need;
use crate::watch::reading::{self, Reading, Version};
use crate::watch::sync::{Polled, Sync};

/// A service that is not listened to is read all the same after that long, and then when its version changes: the
/// subscription may be what cannot be had. Most often it is there sooner, and the service is read once.
pub(super) const DEAF: Duration = Duration::from_secs(1);
/// A second look at a version that differs.
const SECOND_LOOK: Duration = Duration::from_millis(250);
/// A whole reading is due that much less often per so many instances.
const LARGE: usize = 1000;
/// A service of so many instances is read apart from other commands, which would wait for its answer.
const APART: usize = 10 * LARGE;
/// Who has been dead for that long is taken out by whoever sees it.
const LONG_DEAD: Duration = Duration::from_secs(600);

/// What a piece of work in the background has brought.
pub(super) enum Done {
    Read { service: Arc<str>, number: u64, result: Result<Reading, ConnectionError> },
    Polled { service: Arc<str>, result: Result<Version, ConnectionError> },
    Time(Result<u64, ConnectionError>),
    Swept,
}

impl Followed {
    /// A reading has failed: the next one is later.
    fn put_off(&mut self, now: Time, random: &dyn RandomSource) {
        let wait = self.backoff.next(random);
        self.read_at = now + wait;
        self.resync_at = self.resync_at.max(now + wait);
    }
}

impl<I: ServiceInstance> Follower<I> {
    pub(super) fn poll(&self, state: &mut State, whom: impl Fn(&Sync) -> bool) {
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
    pub(super) fn read_if_due(&self, state: &mut State, name: &Arc<str>, now: Time) -> Option<Time> {
        let expired_before = self.expired_before(state, now);
        let followed = state.services.get_mut(name)?;
        if followed.reading.is_some() {
            return None;
        }
        // As soon as there is one, all are looked at.
        self.link.connected().borrow().session.as_ref()?;
        let mut due = if followed.sync.version().is_some() { followed.resync_at } else { followed.read_at };
        if !followed.listening {
            due = due.max(followed.deaf_since + DEAF);
        }
        if now < due {
            return Some(due);
        }
        let number = followed.sync.reading();
        let apart = followed.apart;
        let (link, service, keys) = (self.link.clone(), Arc::clone(name), followed.keys.clone());
        let task = state.work.spawn(async move {
            Done::Read { service, number, result: reading::read(&link, &keys, expired_before, apart).await }
        });
        followed.reading = Some((now, task.id()));
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

    pub(super) fn ended(&self, state: &mut State, ended: Result<Done, JoinError>) {
        match ended {
            Ok(done) => self.done(state, done),
            Err(failed) => self.panicked(state, &failed),
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

    /// A piece of work has panicked. A reading that has is one that failed.
    fn panicked(&self, state: &mut State, failed: &JoinError) {
        let now = self.clock.now();
        state.scan_at = now;
        self.catalog.counters().failed();
        let by = |followed: &Followed| followed.reading.is_some_and(|(_, task)| task == failed.id());
        let Some((service, followed)) = state.services.iter_mut().find(|(_, followed)| by(followed)) else {
            warn!(%failed, "asking Redis has panicked");
            return;
        };
        followed.reading = None;
        followed.put_off(now, &*self.random);
        warn!(%service, %failed, "reading a service has panicked; it is tried again");
    }

    fn compare(&self, state: &mut State, service: &Arc<str>, version: &Version, now: Time) {
        let expired_before = self.expired_before(state, now);
        let Some(followed) = state.services.get_mut(service) else { return };
        let mut polled = followed.sync.polled(version.number, &version.epoch);
        if polled == Polled::Doubt && !followed.listening {
            // No message is on its way.
            polled = followed.sync.polled(version.number, &version.epoch);
        }
        match polled {
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
        let took = followed.reading.take().map_or(Duration::ZERO, |(since, _)| now.since(since));
        let reading = match result {
            Ok(reading) => reading,
            Err(error) => {
                self.catalog.counters().failed();
                // That it takes long may be its size; others must not suffer for it.
                followed.apart |= matches!(error, ConnectionError::Timeout { .. });
                followed.put_off(now, &*self.random);
                if followed.backoff.failures() == 1 {
                    warn!(%service, %error, "a service cannot be read; it is tried again");
                }
                return;
            }
        };
        followed.backoff.reset();
        followed.read_at = now;
        followed.apart = reading.instances.len() >= APART || took > self.link.dial().timeouts.command / 2;
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

#[cfg(test)]
mod tests {
    use lb_core::registry::shared::{Catalog, CatalogOptions, JsonCodec, RuntimeClock};
    use lb_core::{Instance, SeededRandom};
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::connection::Link;
    use crate::keys::Namespace;
    use crate::watch::Translator;
    use crate::watch::follower::Settings;

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_panics_is_one_that_failed() {
        let (link, _complaints) = Link::scripted([]).await;
        let (listen, _orders) = mpsc::unbounded_channel();
        let second = Duration::from_secs(1);
        let follower = Follower::<Instance> {
            link,
            catalog: Catalog::new(CatalogOptions::default(), SystemTime::UNIX_EPOCH),
            translator: Translator { codec: Arc::new(JsonCodec) },
            namespace: Namespace::new("n"),
            clock: RuntimeClock::start(),
            random: Arc::new(SeededRandom::new(1)),
            settings: Settings { poll: 5 * second, resync: 60 * second, ttl: 15 * second },
            listen,
        };
        let mut state = State::new(follower.clock.now(), 15 * second);
        let services: [Arc<str>; 2] = ["a".into(), "b".into()];
        for name in &services {
            follower.follow(&mut state, Arc::clone(name), oneshot::channel().0);
            let defect = &**name == "b";
            let task = state.work.spawn(async move {
                assert!(!defect, "a defect in what reads");
                Done::Swept
            });
            let followed = state.services.get_mut(name).unwrap();
            followed.listening = true;
            followed.reading = Some((follower.clock.now(), task.id()));
        }
        while let Some(ended) = state.work.join_next().await {
            follower.ended(&mut state, ended);
        }
        let [a, b] = services.map(|name| (state.services[&name].reading.is_some(), name));
        assert!(a.0, "whose task has not panicked");
        assert!(!b.0, "it is not being read any more");
        assert_eq!(follower.catalog.status().errors, 1);
        let due = follower.read_if_due(&mut state, &b.1, follower.clock.now());
        assert!(due.is_some_and(|due| due > follower.clock.now()), "with a pause: {due:?}");
        follower.clock.sleep_until(due).await;
        assert_eq!(follower.read_if_due(&mut state, &b.1, follower.clock.now()), None);
        assert!(state.services[&b.1].reading.is_some(), "it is read again");
    }
}
