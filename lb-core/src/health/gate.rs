//! What one instance's pick and success look at: [`Gate`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use crate::member::{Rest, RestReason};
use crate::time::Time;

/// It rests (`Retry-After`).
const RESTS: u32 = 1;
/// It is ejected, or probed after that.
pub(super) const EJECTED: u32 = 1 << 1;
/// It is set aside as unusable, or probed after that. Never together with `EJECTED`.
pub(super) const ASIDE: u32 = 1 << 2;
/// It is eased in.
pub(super) const RAMP: u32 = 1 << 3;
/// It has failed since its last success.
pub(super) const WATCHED: u32 = 1 << 4;
/// It should be ejected, but too many are.
pub(super) const KEPT: u32 = 1 << 5;
/// It is in the set that is picked from.
pub(super) const SEATED: u32 = 1 << 6;
/// Somebody waits for its last request to end.
pub(super) const AWAITED: u32 = 1 << 7;

/// Something was learned of a quota of its own.
const QUOTA: u32 = 1 << 8;

pub(super) const HELD: u32 = EJECTED | ASIDE;

/// What one instance's picks and successes look at: one word of flags, and what they mean in detail.
///
/// Picks and successes read the word and are done while their flags are 0. The flags that the
/// [book](super::book::Book) counts change under its lock only; the others change by atomic operations of their own.
///
/// In this order: what is read by every request is next to what it writes (see `member::state`).
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Gate {
    flags: AtomicU32,
    /// Failures since the last success.
    in_a_row: AtomicU32,
    rest: Rest,
    /// When it was ejected or set aside, and until when. Nanoseconds.
    since: AtomicU64,
    until: AtomicU64,
    /// Until when the one probe has to report; 0: there is none.
    probe: AtomicU64,
    /// Since when it is eased in.
    ramp: AtomicU64,
}

/// How ejections are seen at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct View {
    /// They do not count.
    pub(crate) ignores_ejections: bool,
    /// Those that are older are over: their instances are probed.
    pub(crate) amnesty: Time,
}

/// How a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// As any other.
    Free,
    /// As the one probe of an instance that was left out.
    Probe,
}

impl Gate {
    /// Whether nothing keeps requests away. One load.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (RESTS | HELD | QUOTA) == 0
    }

    /// Whether something was learned of a quota of its own. One load.
    #[inline]
    pub(crate) fn has_quota(&self) -> bool {
        // Acquire pairs with the release below: who sees the flag sees the quota.
        self.flags.load(Ordering::Acquire) & QUOTA != 0
    }

    /// Something was learned of a quota of its own: from now on picks look at that, too.
    pub(crate) fn notice_quota(&self) {
        self.flags.fetch_or(QUOTA, Ordering::AcqRel);
    }

    /// Whether it is ejected or set aside, or probed after that.
    pub(crate) fn is_left_out(&self) -> bool {
        self.flags() & HELD != 0
    }

    /// Whether it is eased in. One load.
    #[inline]
    pub(crate) fn is_ramping(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & RAMP != 0
    }

    /// Whether a success would change anything. One load.
    #[inline]
    pub(crate) fn wants_success(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (HELD | WATCHED | KEPT) != 0
    }

    /// Whether somebody waits for the last request to end. One load.
    #[inline]
    pub(crate) fn is_awaited(&self) -> bool {
        // SeqCst: whoever waits sets this and then looks at the requests in flight; who ends a request does so and then
        // looks at this. One of the two sees the other.
        self.flags.load(Ordering::SeqCst) & AWAITED != 0
    }

    /// From now on whoever ends a request tells so.
    pub(crate) fn await_end(&self) {
        self.flags.fetch_or(AWAITED, Ordering::SeqCst);
        // What is read from here on is not older than that.
        fence(Ordering::SeqCst);
    }

    /// Whether it is in the set that is picked from.
    pub(crate) fn is_seated(&self) -> bool {
        self.flags() & SEATED != 0
    }

    pub(super) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Acquire)
    }

    /// Sets and clears flags; returns them as they were and as they are. For counted flags: under the book's lock.
    pub(super) fn change(&self, set: u32, clear: u32) -> (u32, u32) {
        let change = |flags: u32| (flags & !clear) | set;
        let before = self.flags.fetch_update(Ordering::AcqRel, Ordering::Acquire, |f| Some(change(f)));
        let before = before.unwrap_or_else(|flags| flags);
        (before, change(before))
    }

    // ---- picks ----

    /// Whether requests are kept away at `now`. Call it only if it [is not open](Self::is_open).
    #[cold]
    pub(crate) fn bars(&self, now: Time, view: View) -> bool {
        self.is_resting(now) || self.holds(view).is_some_and(|until| now < until || self.is_probed(now))
    }

    /// Lets a request in, or not: who is probed takes one request at a time, and the next one after `patience`. Call it
    /// only if it [is not open](Self::is_open).
    pub(crate) fn enter(&self, now: Time, view: View, patience: Duration) -> Option<Admission> {
        let Some(until) = self.holds(view) else { return Some(Admission::Free) };
        let probe = self.probe.load(Ordering::Relaxed);
        let mine = (now + patience).as_nanos();
        let free = now >= until && now.as_nanos() >= probe;
        let taken =
            free && self.probe.compare_exchange(probe, mine, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        taken.then_some(Admission::Probe)
    }

    /// The probe did not take place, or proved nothing: the next request may be one.
    pub(crate) fn release_probe(&self) {
        self.probe.store(0, Ordering::Relaxed);
    }

    /// When a request could be let in: `now` if at once, [`Time::MAX`] if that depends on the probe that is running.
    pub(crate) fn available_at(&self, now: Time, view: View) -> Time {
        if self.is_open() {
            return now;
        }
        let rest = self.rest.get(now).map_or(now, |(until, _)| until);
        match self.holds(view) {
            Some(until) if now >= until && self.is_probed(now) => Time::MAX,
            Some(until) => until.max(rest),
            None => rest,
        }
    }

    /// Until when it is left out, if it is. After that time it is probed.
    fn holds(&self, view: View) -> Option<Time> {
        let held = self.flags() & HELD;
        (held != 0 && !(view.ignores_ejections && held == EJECTED)).then(|| self.until(view.amnesty))
    }

    fn is_probed(&self, now: Time) -> bool {
        now.as_nanos() < self.probe.load(Ordering::Relaxed)
    }

    // ---- rests ----

    fn is_resting(&self, now: Time) -> bool {
        if self.flags() & RESTS == 0 {
            return false;
        }
        if self.rest.get(now).is_none() {
            self.flags.fetch_and(!RESTS, Ordering::AcqRel);
            // Somebody may have prolonged it just before the flag went.
            if self.rest.get(now).is_none() {
                return false;
            }
            self.flags.fetch_or(RESTS, Ordering::AcqRel);
        }
        true
    }

    /// Rests until `until`, or longer if it already does. Returns whether that made a difference.
    pub(crate) fn rest(&self, until: Time, reason: RestReason) -> bool {
        let longer = self.rest.extend(until, reason);
        self.flags.fetch_or(RESTS, Ordering::AcqRel);
        longer
    }

    /// Until when it rests or is left out, and why.
    pub(crate) fn resting(&self, now: Time, view: View) -> Option<(Time, RestReason)> {
        let why = if self.flags() & ASIDE != 0 { RestReason::Unusable } else { RestReason::Ejected };
        let held = self.holds(view).filter(|until| *until > now).map(|until| (until, why));
        self.rest.get(now).into_iter().chain(held).max_by_key(|(until, _)| *until)
    }

    // ---- what the failure path decides ----

    /// Notes a failure; returns how many there were since the last success.
    pub(super) fn fault(&self) -> u32 {
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.flags.fetch_or(WATCHED, Ordering::AcqRel);
        in_a_row
    }

    /// Forgets the failures.
    pub(super) fn forget_faults(&self) {
        // In this order a failure that comes in between leaves the flag set, so that a later success looks again.
        self.flags.fetch_and(!WATCHED, Ordering::AcqRel);
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// Notes for how long it is left out. The flag is set after that.
    pub(super) fn hold(&self, since: Time, until: Time) {
        self.since.store(since.as_nanos(), Ordering::Relaxed);
        self.until.store(until.as_nanos(), Ordering::Relaxed);
        self.probe.store(0, Ordering::Relaxed);
    }

    pub(super) fn since(&self) -> Time {
        Time::from_nanos(self.since.load(Ordering::Relaxed))
    }

    /// Until when it is left out. An ejection from before an amnesty is over with it.
    pub(super) fn until(&self, amnesty: Time) -> Time {
        let until = Time::from_nanos(self.until.load(Ordering::Relaxed));
        let ejected = self.flags() & EJECTED != 0;
        if ejected && self.since() < amnesty { until.min(amnesty) } else { until }
    }

    pub(super) fn begin_ramp(&self, now: Time) {
        self.ramp.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn ramp_began(&self) -> Time {
        Time::from_nanos(self.ramp.load(Ordering::Relaxed))
    }

    /// Forgets rests and failures. The counted flags go by [`change`](Self::change).
    pub(super) fn pardon(&self) {
        self.rest.clear();
        self.flags.fetch_and(!RESTS, Ordering::AcqRel);
        self.forget_faults();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NORMAL: View = View { ignores_ejections: false, amnesty: Time::ORIGIN };
    const PANIC: View = View { ignores_ejections: true, ..NORMAL };

    fn at(secs: u64) -> Time {
        Time::after_origin(Duration::from_secs(secs))
    }

    fn ejected(until: u64) -> Gate {
        let gate = Gate::default();
        gate.hold(at(1), at(until));
        gate.change(EJECTED, 0);
        gate
    }

    #[test]
    fn one_probe_at_a_time_once_the_time_is_over() {
        let gate = ejected(10);
        let enter = |secs| gate.enter(at(secs), NORMAL, PATIENCE);
        assert!(gate.bars(at(9), NORMAL));
        assert_eq!((enter(9), gate.available_at(at(9), NORMAL)), (None, at(10)));
        assert!(!gate.bars(at(10), NORMAL));
        assert_eq!(enter(10), Some(Admission::Probe));
        assert!(gate.bars(at(11), NORMAL), "one at a time");
        assert_eq!((enter(11), gate.available_at(at(11), NORMAL)), (None, Time::MAX));
        gate.release_probe();
        assert_eq!(enter(12), Some(Admission::Probe));
        assert_eq!(enter(42), Some(Admission::Probe), "a probe that never reports does not block for ever");
    }

    #[test]
    fn a_panic_ignores_ejections_but_neither_rests_nor_bad_keys() {
        let gate = ejected(10);
        assert!(!gate.bars(at(2), PANIC));
        assert_eq!(gate.enter(at(2), PANIC, PATIENCE), Some(Admission::Free));
        gate.rest(at(5), RestReason::RetryAfter);
        assert!(gate.bars(at(2), PANIC));
        assert_eq!(gate.available_at(at(2), PANIC), at(5));
        gate.change(ASIDE, EJECTED);
        assert!(gate.bars(at(6), PANIC));
    }

    #[test]
    fn a_rest_that_is_over_opens_the_gate_again() {
        let gate = Gate::default();
        gate.rest(at(5), RestReason::RetryAfter);
        assert!(!gate.is_open() && gate.bars(at(4), NORMAL));
        assert!(!gate.bars(at(5), NORMAL));
        assert!(gate.is_open(), "nothing is left to look at");
    }

    #[test]
    fn an_amnesty_ends_older_ejections_and_nothing_else() {
        let gate = ejected(10);
        let after = |secs| View { amnesty: at(secs), ..NORMAL };
        assert!(gate.bars(at(5), after(1)), "ejected at that very moment");
        assert!(!gate.bars(at(5), after(4)));
        assert_eq!(gate.enter(at(5), after(4), PATIENCE), Some(Admission::Probe));
        gate.change(ASIDE, EJECTED);
        assert!(gate.bars(at(5), after(4)));
    }

    #[test]
    fn concurrent_entries_make_one_probe() {
        let gate = ejected(10);
        let probes: usize = std::thread::scope(|scope| {
            let entries = (0..4).map(|_| scope.spawn(|| gate.enter(at(20), NORMAL, PATIENCE)));
            let entries: Vec<_> = entries.collect();
            entries.into_iter().map(|e| usize::from(e.join().unwrap().is_some())).sum()
        });
        assert_eq!(probes, 1);
    }
}
