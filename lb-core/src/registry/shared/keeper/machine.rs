//! The decisions about announcements: [`Keeper`].

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use super::action::{Action, Answer, Hint, HintKind, Notice, Step, Ticket};
use super::kept::{Aim, End, Kept, Stored};
use super::lease::{Held, Lease};
use super::options::{KeeperOptions, Leases};
use crate::instance::ServiceInstance;
use crate::random::RandomSource;
use crate::registry::entry::InstanceState;
use crate::registry::error::RegistryError;
use crate::registry::shared::record::Generation;
use crate::time::Time;

/// Names one announcement of a [`Keeper`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptId(u64);

/// Decides what to do so that what is announced is in the store, and what is not is gone. It never gives up.
///
/// A state machine without a clock: [`poll`](Self::poll) says what is to be done now, and when to ask again;
/// [`answer`](Self::answer) tells it what became of that. What it does not ask for is not done. At most one step is on
/// its way per announcement, and one for the lease.
///
/// - A lease or key that the store has lost is had again: granted anew, and everything written again.
/// - A failure says nothing: what was to be written may be there. So it is tried again, after a jittered wait that
///   grows and starts small once something worked.
/// - Who announces an id later owns it. An announcement that was taken over, or whose instance was taken out by
///   somebody, is left alone; it writes and deletes nothing any more.
///
/// ```
/// use std::time::Duration;
/// use lb_core::registry::shared::{Action, Answer, Generation, Keeper, KeeperOptions, Leases, Notice};
/// use lb_core::{Instance, ThreadRandom, Time};
///
/// let random = ThreadRandom;
/// let mut keeper = Keeper::new(KeeperOptions::new(Leases::Each, Duration::from_secs(15)));
/// let now = Time::ORIGIN;
/// let cart = keeper.announce("cart", Instance::new("cart-1"), Generation::new(&random));
///
/// let (steps, _) = keeper.poll(now);
/// assert!(matches!(steps[0].action, Action::Put { takes_over: true, .. }));
/// keeper.answer(steps[0].ticket, Answer::DONE, now, &random);
/// assert!(matches!(keeper.notices()[..], [Notice::Written(id)] if id == cart));
///
/// let (steps, wake) = keeper.poll(now);
/// assert!(steps.is_empty());
/// let now = wake.unwrap();
/// assert_eq!(now, Time::ORIGIN + Duration::from_secs(5));
/// let (steps, _) = keeper.poll(now);
/// assert!(matches!(steps[0].action, Action::Beat(_)));
/// // The store has lost it: it is written again.
/// keeper.answer(steps[0].ticket, Answer::Lost, now, &random);
/// let (steps, _) = keeper.poll(now);
/// assert!(matches!(steps[0].action, Action::Put { takes_over: false, .. }));
/// ```
pub struct Keeper<I> {
    options: KeeperOptions,
    kept: BTreeMap<KeptId, Kept<I>>,
    lease: Lease,
    on_their_way: BTreeMap<Ticket, Doing>,
    tickets: u64,
    ids: u64,
    re_registrations: u64,
    notices: Vec<Notice>,
}

/// What a step on its way is about.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Grant,
    KeepAlive,
    Revoke,
    Beat(KeptId),
    Put { id: KeptId, version: u64, state: InstanceState, lease: Option<u64> },
    Delete(KeptId),
}

impl<I: ServiceInstance> Keeper<I> {
    /// A keeper of nothing.
    pub const fn new(options: KeeperOptions) -> Self {
        Self {
            options,
            kept: BTreeMap::new(),
            lease: Lease::new(options.backoff),
            on_their_way: BTreeMap::new(),
            tickets: 0,
            ids: 0,
            re_registrations: 0,
            notices: Vec::new(),
        }
    }

    /// Announces an instance. An earlier announcement of its id by this keeper is taken over.
    pub fn announce(&mut self, service: &str, instance: impl Into<Arc<I>>, generation: Generation) -> KeptId {
        let instance = instance.into();
        let id = KeptId(self.ids);
        self.ids += 1;
        let name: Arc<str> = Arc::from(instance.id());
        let former = self.kept.iter().filter(|(_, kept)| kept.is(service, &name));
        let former: Vec<_> = former.map(|(&former, _)| former).collect();
        for former in former {
            self.end(former, End::Taken);
        }
        let kept = Kept::new(Arc::from(service), name, instance, generation, self.options.backoff);
        self.kept.insert(id, kept);
        id
    }

    /// Replaces an announced instance by a later version of it. `false`: it is not this announcement's any more.
    pub fn update(&mut self, id: KeptId, instance: impl Into<Arc<I>>) -> bool {
        self.change(id, |kept| {
            kept.instance = instance.into();
            kept.generation = kept.generation.next();
        })
    }

    /// Puts an announced instance into another state, such as draining. `false`: it is not this announcement's any more.
    pub fn set_state(&mut self, id: KeptId, state: InstanceState) -> bool {
        self.change(id, |kept| kept.state = state)
    }

    fn change(&mut self, id: KeptId, change: impl FnOnce(&mut Kept<I>)) -> bool {
        let Some(kept) = self.kept.get_mut(&id).filter(|kept| kept.aim == Aim::Present) else { return false };
        change(kept);
        kept.wanted += 1;
        // What users want is tried at once, also after failures; after that it waits its turn.
        if !kept.is_settled() && kept.backoff.failures() <= 1 {
            kept.retry_at = Time::ORIGIN;
        }
        true
    }

    /// Takes an announced instance out: it is deleted if it is still this announcement's. [`Notice::Left`] says when.
    pub fn leave(&mut self, id: KeptId) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.released = true;
        match kept.aim {
            Aim::Present if kept.may_exist => {
                kept.aim = Aim::Absent;
                kept.retry_at = Time::ORIGIN;
            }
            Aim::Present => self.left(id),
            Aim::Absent => {}
            Aim::Nothing(_) => {
                self.notices.push(Notice::Left(id));
                self.tidy(id);
            }
        }
    }

    /// An announcement is nobody's business any more.
    fn end(&mut self, id: KeptId, end: End) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let before = kept.aim;
        kept.end(end);
        match (before, end) {
            (Aim::Absent, _) => self.notices.push(Notice::Left(id)),
            (Aim::Present, End::Taken) => self.notices.push(Notice::Taken(id)),
            (Aim::Present, End::Deregistered) => self.notices.push(Notice::Deregistered(id)),
            (Aim::Nothing(_), _) => {}
        }
        self.tidy(id);
    }

    /// It is not in the store any more, as was wanted.
    fn left(&mut self, id: KeptId) {
        self.kept.remove(&id);
        self.notices.push(Notice::Left(id));
    }

    /// Forgets an announcement that needs nothing any more and that nobody holds.
    fn tidy(&mut self, id: KeptId) {
        if self.kept.get(&id).is_some_and(Kept::is_over) {
            self.kept.remove(&id);
        }
    }

    /// What has become of announcements since this was called last, in order.
    pub fn notices(&mut self) -> Vec<Notice> {
        mem::take(&mut self.notices)
    }

    /// Takes over what was seen in the store by the way.
    pub fn hint(&mut self, hint: &Hint, now: Time, random: &dyn RandomSource) {
        let beat = self.options.beat();
        let own = |kept: &Kept<I>| kept.is(&hint.service, &hint.id) && kept.aim == Aim::Present;
        let Some((&id, kept)) = self.kept.iter_mut().find(|(_, kept)| own(kept)) else { return };
        let written = kept.stored.map_or(0, |stored| stored.revision);
        if hint.revision < written || !kept.established {
            return;
        }
        match hint.kind {
            HintKind::Taken => self.end(id, End::Taken),
            HintKind::Deregistered => self.end(id, End::Deregistered),
            HintKind::Gone => {
                kept.gone_at = kept.gone_at.max(hint.revision);
                if kept.stored.take().is_some() {
                    // Somebody who keeps deleting it is not answered in a tight loop.
                    if now.since(kept.written_at) > beat {
                        kept.backoff.reset();
                    }
                    kept.retry_at = now + kept.backoff.next(random);
                }
            }
        }
    }

    /// What is to be done now, and when to ask again (`None`: not before something happens).
    pub fn poll(&mut self, now: Time) -> (Vec<Step<I>>, Option<Time>) {
        let mut steps = Vec::new();
        let mut wake: Option<Time> = None;
        let mut later = |at: Time| wake = Some(wake.map_or(at, |wake: Time| wake.min(at)));

        if self.options.leases == Leases::Shared && !self.lease.busy {
            let due = self.lease.retry_at <= now;
            let needed = self.kept.values().any(|kept| kept.aim == Aim::Present);
            let used = self.kept.values().any(|kept| kept.may_exist || kept.busy);
            match self.lease.held {
                None if needed && due => steps.push((Doing::Grant, Action::Grant)),
                Some(held) if !needed && !used => {
                    steps.push((Doing::Revoke, Action::Revoke { lease: held.id }));
                }
                Some(held) if due => steps.push((Doing::KeepAlive, Action::KeepAlive { lease: held.id })),
                None if !needed => {}
                _ => later(self.lease.retry_at),
            }
        }
        // One step per key at a time, also where one announcement follows another under its id.
        let ending: Vec<_> = self.kept.values().filter(|kept| kept.is_ending()).collect();
        for (&id, kept) in &self.kept {
            if kept.busy
                || ending
                    .iter()
                    .any(|other| !std::ptr::eq(*other, kept) && kept.is(&other.service, &other.id))
            {
                continue;
            }
            let Some(step) = self.wanted(id, kept) else { continue };
            if kept.retry_at <= now { steps.push(step) } else { later(kept.retry_at) }
        }

        let steps = steps.into_iter().map(|(doing, action)| self.step(doing, action)).collect();
        (steps, wake)
    }

    /// What is to be done for one announcement, as soon as its time has come.
    fn wanted(&self, id: KeptId, kept: &Kept<I>) -> Option<(Doing, Action<I>)> {
        let lease = self.lease.id();
        let shared = self.options.leases == Leases::Shared;
        let put = |state, version| {
            let (of, record) = (kept.announced(lease), kept.record(state));
            (
                Doing::Put { id, version, state, lease },
                Action::Put { of, record, takes_over: !kept.established },
            )
        };
        match kept.aim {
            // What was on its way when it ended may have arrived.
            Aim::Nothing(_) => {
                kept.may_exist.then(|| (Doing::Delete(id), Action::Delete(kept.announced(lease))))
            }
            Aim::Present if !kept.is_settled() => {
                (!shared || lease.is_some()).then(|| put(kept.state, kept.wanted))
            }
            Aim::Present if shared => None,
            Aim::Present => Some((Doing::Beat(id), Action::Beat(kept.announced(None)))),
            Aim::Absent => {
                let draining = kept.stored.is_none_or(|stored| stored.state == InstanceState::Draining);
                if self.options.draining_first && !draining && (!shared || lease.is_some()) {
                    return Some(put(InstanceState::Draining, kept.wanted));
                }
                Some((Doing::Delete(id), Action::Delete(kept.announced(lease))))
            }
        }
    }

    fn step(&mut self, doing: Doing, action: Action<I>) -> Step<I> {
        match doing {
            Doing::Grant | Doing::KeepAlive => self.lease.busy = true,
            Doing::Revoke => {
                self.lease.busy = true;
                // Nothing is written under it any more.
                self.lease.held = None;
            }
            Doing::Beat(id) | Doing::Delete(id) | Doing::Put { id, .. } => {
                if let Some(kept) = self.kept.get_mut(&id) {
                    kept.busy = true;
                    if let Doing::Put { .. } = doing {
                        kept.may_exist = true;
                        kept.gone_at = 0;
                    }
                }
            }
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.on_their_way.insert(ticket, doing);
        Step { ticket, action }
    }

    /// Takes over what became of a step. An answer to a step that has been answered is passed over.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer, now: Time, random: &dyn RandomSource) {
        match self.on_their_way.remove(&ticket) {
            None => {}
            Some(doing @ (Doing::Grant | Doing::KeepAlive | Doing::Revoke)) => {
                self.lease.busy = false;
                self.lease_answered(doing, answer, now, random);
            }
            Some(Doing::Beat(id) | Doing::Delete(id) | Doing::Put { id, .. })
                if !self.kept.contains_key(&id) => {}
            Some(doing @ Doing::Put { .. }) => self.put_answered(doing, answer, now, random),
            Some(Doing::Beat(id)) => self.beat_answered(id, answer, now, random),
            Some(Doing::Delete(id)) => self.delete_answered(id, answer, now, random),
        }
    }

    /// What was on its way when the process that should answer was given up: all of it has failed.
    pub fn abort(&mut self, error: &RegistryError, now: Time, random: &dyn RandomSource) {
        for ticket in self.on_their_way.keys().copied().collect::<Vec<_>>() {
            self.answer(ticket, Answer::Failed(error.clone()), now, random);
        }
    }

    fn lease_answered(&mut self, doing: Doing, answer: Answer, now: Time, random: &dyn RandomSource) {
        match (doing, answer) {
            (Doing::Grant, Answer::Granted { lease, ttl }) => {
                self.lease.renewed(Held { id: lease, beat: ttl / 3 }, now);
            }
            (Doing::Revoke, _) => self.lease.lost(now),
            (Doing::KeepAlive, Answer::Done { .. } | Answer::Granted { .. }) => {
                if let Some(held) = self.lease.held {
                    self.lease.renewed(held, now);
                }
            }
            (Doing::KeepAlive, Answer::Lost) => self.lease_lost(now),
            (_, answer) => {
                self.lease.retry_at = now + self.lease.backoff.next(random);
                if let (Doing::Grant, Answer::Failed(error)) = (doing, answer) {
                    // Nothing can be written: who waits for that is told.
                    let unsettled = |kept: &Kept<I>| kept.aim == Aim::Present && !kept.is_settled();
                    let waiting = self.kept.iter().filter(|(_, kept)| unsettled(kept));
                    self.notices.extend(waiting.map(|(&id, _)| Notice::Failed(id, error.clone())));
                }
            }
        }
    }

    /// The lease is gone, and with it all that was written under it.
    fn lease_lost(&mut self, now: Time) {
        self.lease.lost(now);
        for kept in self.kept.values_mut() {
            kept.stored = None;
            kept.retry_at = now;
        }
    }

    fn put_answered(&mut self, doing: Doing, answer: Answer, now: Time, random: &dyn RandomSource) {
        let Doing::Put { id, version, state, lease } = doing else { return };
        let (current, beat) = (self.lease.id(), self.options.beat());
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        let over = matches!(kept.aim, Aim::Nothing(_));
        match answer {
            Answer::Done { .. } | Answer::Granted { .. } | Answer::Failed(_) if over => {
                kept.may_exist = true;
                kept.lease = lease;
            }
            _ if over => self.tidy(id),
            Answer::Done { revision } | Answer::Granted { lease: revision, .. } => {
                self.re_registrations += u64::from(kept.established && kept.stored.is_none());
                kept.established = true;
                kept.lease = lease;
                kept.written_at = now;
                // Not if the lease was lost, or the key was seen to be gone, while this was on its way.
                let seen_gone = kept.gone_at > revision && revision > 0;
                if lease == current && !seen_gone {
                    kept.stored = Some(Stored { version, state, revision });
                }
                if kept.aim == Aim::Absent {
                    kept.retry_at = now;
                } else if seen_gone {
                    kept.retry_at = now + kept.backoff.next(random);
                } else {
                    kept.backoff.reset();
                    kept.retry_at = if kept.is_settled() { now + beat } else { now };
                    if kept.is_settled() {
                        self.notices.push(Notice::Written(id));
                    }
                }
            }
            Answer::Taken => self.end(id, End::Taken),
            Answer::Deregistered => self.end(id, End::Deregistered),
            Answer::Lost => {
                kept.retry_at = now + kept.backoff.next(random);
                if lease == current && lease.is_some() {
                    self.lease_lost(now);
                }
            }
            Answer::Failed(error) => {
                kept.retry_at = now + kept.backoff.next(random);
                self.notices.push(Notice::Failed(id, error));
            }
        }
    }

    fn beat_answered(&mut self, id: KeptId, answer: Answer, now: Time, random: &dyn RandomSource) {
        let beat = self.options.beat();
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        match (kept.aim, answer) {
            (Aim::Nothing(_), _) => self.tidy(id),
            (_, Answer::Taken) => self.end(id, End::Taken),
            (_, Answer::Deregistered) => self.end(id, End::Deregistered),
            (Aim::Absent, _) => kept.retry_at = now,
            (Aim::Present, Answer::Done { .. } | Answer::Granted { .. }) => {
                kept.backoff.reset();
                kept.retry_at = if kept.is_settled() { now + beat } else { now };
            }
            (Aim::Present, Answer::Lost) => {
                kept.stored = None;
                kept.retry_at = now;
            }
            (Aim::Present, Answer::Failed(_)) => kept.retry_at = now + kept.backoff.next(random),
        }
    }

    fn delete_answered(&mut self, id: KeptId, answer: Answer, now: Time, random: &dyn RandomSource) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        if let Answer::Failed(error) = answer {
            kept.retry_at = now + kept.backoff.next(random);
            if kept.aim == Aim::Absent {
                self.notices.push(Notice::Failed(id, error));
            }
            return;
        }
        kept.may_exist = false;
        if kept.aim == Aim::Absent {
            self.left(id);
        } else {
            self.tidy(id);
        }
    }

    /// Whether an announcement is still its own: neither taken over nor taken out by somebody, nor leaving.
    pub fn is_present(&self, id: KeptId) -> bool {
        self.kept.get(&id).is_some_and(|kept| kept.aim == Aim::Present)
    }

    /// Why an announcement is not its own any more, if somebody took the instance out.
    pub fn is_deregistered(&self, id: KeptId) -> bool {
        self.kept.get(&id).is_some_and(|kept| kept.aim == Aim::Nothing(End::Deregistered))
    }

    /// How many announcements there are that are to be in the store.
    pub fn len(&self) -> usize {
        self.kept.values().filter(|kept| kept.aim == Aim::Present).count()
    }

    /// Whether nothing is announced, nothing is to be taken out, and no lease is held: there is nothing left to do.
    pub fn is_empty(&self) -> bool {
        self.kept.values().all(|kept| matches!(kept.aim, Aim::Nothing(_)) && !kept.may_exist)
            && self.lease.held.is_none()
            && self.on_their_way.is_empty()
    }

    /// How often something was written again because the store had lost it.
    pub const fn re_registrations(&self) -> u64 {
        self.re_registrations
    }
}

impl<I> fmt::Debug for Keeper<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("announcements", &self.kept.len())
            .field("lease", &self.lease)
            .field("on_their_way", &self.on_their_way.len())
            .finish_non_exhaustive()
    }
}
