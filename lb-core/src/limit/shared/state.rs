//! A shared quota as this process sees it: [`State`].

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::demand::Demand;
use super::lease::{Lease, LeaseRequest};
use super::piece::Piece;
use super::terms::Terms;
use crate::limit::{DeclaredLimits, Limiter};
use crate::limits::Limits;
use crate::time::Time;

/// How soon a request that found nothing looks again while the answer of the store is on its way.
const SOON: Duration = Duration::from_millis(2);

/// The shared quota of one key, as this process sees it.
pub(super) struct State {
    pub(super) key: Arc<str>,
    requests: CachePadded<Piece>,
    tokens: CachePadded<Piece>,
    /// The lease is good until then.
    until: AtomicU64,
    /// Nothing is to be had before.
    again: AtomicU64,
    /// Nobody is to use the key before.
    rest: AtomicU64,
    /// The store does not answer: `fallback` decides.
    away: AtomicBool,
    /// The last lease was less than was asked for.
    short: AtomicBool,
    fallback: DeclaredLimits,
    sharers: AtomicU32,
    /// Bits of the store's level at the last lease.
    level: AtomicU64,
    limits: Mutex<Limits>,
    /// Whether [`Terms`] exist: dimensions that are not limited are not counted.
    limits_requests: AtomicBool,
    limits_tokens: AtomicBool,
    /// A moment on both clocks: the balancer's, which requests bring, and the runtime's.
    anchor: OnceLock<(Time, Instant)>,
    pub(super) tended: AtomicBool,
    signalled: AtomicBool,
    pub(super) signal: Notify,
    demand: Mutex<(Demand, Demand, Option<Instant>)>,
    /// A rest that was told before any request brought the time.
    early_rest: Mutex<Option<Instant>>,
}

impl State {
    pub(super) fn new(key: &str, limits: Limits) -> Self {
        let state = Self {
            key: key.into(),
            requests: CachePadded::default(),
            tokens: CachePadded::default(),
            until: AtomicU64::new(0),
            again: AtomicU64::new(0),
            rest: AtomicU64::new(0),
            away: AtomicBool::new(false),
            short: AtomicBool::new(false),
            fallback: DeclaredLimits::default(),
            sharers: AtomicU32::new(1),
            level: AtomicU64::new(1.0_f64.to_bits()),
            limits: Mutex::new(Limits::NONE),
            limits_requests: AtomicBool::new(false),
            limits_tokens: AtomicBool::new(false),
            anchor: OnceLock::new(),
            tended: AtomicBool::new(false),
            signalled: AtomicBool::new(false),
            signal: Notify::new(),
            demand: Mutex::default(),
            early_rest: Mutex::default(),
        };
        state.declare(limits);
        state
    }

    pub(super) fn declare(&self, limits: Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
        self.limits_requests.store(limits.requests_per_minute.is_some(), Relaxed);
        self.limits_tokens.store(limits.tokens_per_minute.is_some(), Relaxed);
        self.fallback.declare(share(limits, self.sharers.load(Relaxed)));
    }

    pub(super) fn terms(&self) -> Option<Terms> {
        Terms::of(*self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The balancer's time of a runtime's instant, once a request has brought the time.
    fn time(&self, instant: Instant) -> Option<Time> {
        let (time, at) = self.anchor.get()?;
        Some(*time + instant.saturating_duration_since(*at))
    }

    pub(super) fn see(&self, now: Time) {
        if self.anchor.get().is_none() {
            let _ = self.anchor.set((now, Instant::now()));
            if let Some(end) = self.early_rest.lock().unwrap_or_else(PoisonError::into_inner).take()
                && let Some(end) = self.time(end)
            {
                self.rest.fetch_max(end.as_nanos(), Relaxed);
            }
        }
    }

    /// Somebody has told of a rest.
    pub(super) fn rest_for(&self, remaining: Duration) {
        let end = Instant::now() + remaining.min(Duration::from_secs(366 * 24 * 3600));
        if let Some(end) = self.time(end) {
            self.rest.fetch_max(end.as_nanos(), Relaxed);
            return;
        }
        let mut early = self.early_rest.lock().unwrap_or_else(PoisonError::into_inner);
        *early = Some(early.map_or(end, |known| known.max(end)));
        drop(early);
        // A request may have brought the time in between.
        if self.anchor.get().is_some()
            && let Some(end) = self.time(end)
        {
            self.rest.fetch_max(end.as_nanos(), Relaxed);
        }
    }

    pub(super) fn is_leased(&self) -> bool {
        self.limits_requests.load(Relaxed) || self.limits_tokens.load(Relaxed)
    }

    /// Takes from the lease; `Err` says when to look again.
    pub(super) fn spend(&self, cost: u64, now: Time) -> Result<(), Time> {
        if !self.is_leased() {
            return Ok(());
        }
        if self.away.load(Relaxed) {
            return self.fallback.try_acquire(cost, now).inspect(|()| self.fallback.release());
        }
        let valid = now.as_nanos() < self.until.load(Relaxed);
        let requests = self.limits_requests.load(Relaxed);
        if valid && (!requests || self.requests.take(1)) {
            if !self.limits_tokens.load(Relaxed) || self.tokens.take(cost) {
                return Ok(());
            }
            if requests {
                self.requests.give_back(1);
            }
        } else if !valid {
            self.requests.denied.fetch_max(1, Relaxed);
            self.tokens.denied.fetch_max(cost.max(1), Relaxed);
        }
        // Until then nobody else need ask; from then on somebody must, or nothing is leased.
        let later = self.look_again(now);
        self.again.fetch_max(later.as_nanos(), Relaxed);
        Err(later)
    }

    /// Nobody is to use the key before that.
    pub(super) fn rests_until(&self) -> Time {
        Time::from_nanos(self.rest.load(Relaxed))
    }

    /// Nobody is to use the key before `end`.
    pub(super) fn rest_until(&self, end: Time) {
        self.rest.fetch_max(end.as_nanos(), Relaxed);
    }

    /// Whether nobody has signalled yet since the store was last asked. From now on somebody has.
    pub(super) fn signals(&self) -> bool {
        !self.signalled.swap(true, Relaxed)
    }

    /// When a request could [spend](Self::spend).
    pub(super) fn available_at(&self, cost: u64, now: Time) -> Time {
        if !self.is_leased() {
            return now;
        }
        if self.away.load(Relaxed) {
            return self.fallback.available_at(cost, now);
        }
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        let enough = now.as_nanos() < self.until.load(Relaxed)
            && (!self.limits_requests.load(Relaxed) || self.requests.left.load(Relaxed) > 0)
            && (!self.limits_tokens.load(Relaxed) || self.tokens.left.load(Relaxed) >= cost);
        if enough { now } else { Time::from_nanos(self.again.load(Relaxed)).max(now) }
    }

    /// What is left, from 0 to 1.
    pub(super) fn headroom(&self, now: Time) -> f64 {
        if !self.is_leased() {
            1.0
        } else if self.away.load(Relaxed) {
            self.fallback.headroom(now)
        } else {
            self.leased_headroom(now)
        }
    }

    /// A request cost `actual` tokens instead of the `reserved` ones.
    pub(super) fn settle(&self, reserved: u64, actual: u64, now: Time) {
        if !self.limits_tokens.load(Relaxed) {
            return;
        }
        if self.away.load(Relaxed) {
            self.fallback.settle(reserved, actual, now);
        } else if actual > reserved {
            let more = actual - reserved;
            self.tokens.left.fetch_sub(i64::try_from(more).unwrap_or(i64::MAX), Relaxed);
            self.tokens.used.fetch_add(more, Relaxed);
        } else {
            self.tokens.give_back(reserved - actual);
        }
    }

    /// 0 only while the store has said that nothing is to be had: who sees 0 does not ask, and without a request that asks
    /// nothing is leased.
    fn leased_headroom(&self, now: Time) -> f64 {
        const SOME: f64 = 0.01;
        let at_hand = now.as_nanos() < self.until.load(Relaxed)
            && (!self.limits_requests.load(Relaxed) || self.requests.left.load(Relaxed) > 0)
            && (!self.limits_tokens.load(Relaxed) || self.tokens.left.load(Relaxed) > 0);
        if !at_hand && now.as_nanos() < self.again.load(Relaxed) && self.short.load(Relaxed) {
            return 0.0;
        }
        f64::from_bits(self.level.load(Relaxed)).max(SOME)
    }

    fn look_again(&self, now: Time) -> Time {
        Time::from_nanos(self.again.load(Relaxed)).max(now + SOON)
    }

    /// Whether the tender should look: less than half is left. Says so once per lease.
    pub(super) fn runs_low(&self) -> bool {
        let low = (self.limits_requests.load(Relaxed) && self.requests.is_low())
            || (self.limits_tokens.load(Relaxed) && self.tokens.is_low());
        low && !self.signalled.load(Relaxed) && !self.signalled.swap(true, Relaxed)
    }

    /// What to ask the store for now; `None`: nothing was used or wanted for a while.
    pub(super) fn plan(&self, now: Instant) -> Option<LeaseRequest> {
        let terms = self.terms()?;
        let mut demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = demand.2.map_or(terms.horizon, |last| now.saturating_duration_since(last));
        demand.2 = Some(now);
        self.signalled.store(false, Relaxed);
        let mut request = LeaseRequest::new(terms);
        let mut idle = true;
        if terms.requests_per_minute.is_some() {
            let denied = self.requests.denied.swap(0, Relaxed);
            let used = self.requests.used.swap(0, Relaxed);
            let most = terms.requests_capacity().ceil() as u64;
            let need = demand.0.next(used, denied > 0, elapsed, terms.horizon, most);
            let (more, unused) = self.requests.even_out(need);
            (request.requests, request.unused_requests) = (more, unused as u64);
            idle &= need == 0 && unused == 0;
        }
        if terms.tokens_per_minute.is_some() {
            let denied = self.tokens.denied.swap(0, Relaxed);
            let used = self.tokens.used.swap(0, Relaxed);
            let most = (terms.tokens_capacity().ceil() as u64).max(denied);
            let need = demand.1.next(used, denied > 0, elapsed, terms.horizon, most).max(denied);
            let (more, unused) = self.tokens.even_out(need);
            // What waits needs all that it costs, whatever is left.
            (request.tokens, request.unused_tokens) = (more, unused);
            request.least_tokens = denied.min(more);
            idle &= need == 0 && unused == 0 && more == 0;
        }
        (!idle).then_some(request)
    }

    /// The store has granted this, some time after `asked`. When to ask again.
    pub(super) fn granted(&self, lease: &Lease, request: &LeaseRequest, asked: Instant) -> Instant {
        let terms = request.terms;
        self.away.store(false, Relaxed);
        if self.sharers.swap(lease.sharers.max(1), Relaxed) != lease.sharers.max(1) {
            let limits = *self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            self.fallback.declare(share(limits, lease.sharers));
        }
        self.level.store(lease.level.to_bits(), Relaxed);
        if let Some(rest) = lease.rest {
            self.rest_for(rest);
        }
        let short = lease.requests < request.requests || lease.tokens < request.tokens;
        self.short.store(short, Relaxed);
        let next = if short {
            Instant::now() + lease.ask_again.max(Duration::from_millis(1))
        } else {
            asked + terms.horizon
        };
        let again = if short { self.time(next).map_or(0, Time::as_nanos) } else { 0 };
        self.again.store(again, Relaxed);
        // Without an anchor no request has come yet, and none can be waiting.
        let until = self.time(asked + terms.horizon).map_or(u64::MAX, Time::as_nanos);
        self.until.store(until, Relaxed);
        self.requests.left.fetch_add(i64::try_from(lease.requests).unwrap_or(i64::MAX), Relaxed);
        self.tokens.left.fetch_add(i64::try_from(lease.tokens).unwrap_or(i64::MAX), Relaxed);
        next.min(asked + terms.horizon)
    }

    /// What to ask a store that did not answer last time.
    pub(super) fn probe(&self) -> Option<LeaseRequest> {
        Some(LeaseRequest { requests: 1, ..LeaseRequest::new(self.terms()?) })
    }

    /// The last lease was less than was asked for.
    pub(super) fn is_short(&self) -> bool {
        self.short.load(Relaxed)
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// The tender stops. Whether it must go on after all, because somebody has signalled meanwhile.
    pub(super) fn stops(&self) -> bool {
        self.tended.store(false, Relaxed);
        self.signalled.load(Relaxed) && !self.tended.swap(true, Relaxed)
    }

    /// The store does not answer: from now on this process goes by its fair share. What it gave back comes to nobody.
    pub(super) fn unanswered(&self) {
        self.away.store(true, Relaxed);
    }
}

/// The fair share of one of so many processes; rates only.
fn share(limits: Limits, sharers: u32) -> Limits {
    let sharers = sharers.max(1);
    Limits {
        concurrency: None,
        requests_per_minute: limits
            .requests_per_minute
            .map(|n| if n == 0 { 0 } else { (n / sharers).max(1) }),
        tokens_per_minute: limits
            .tokens_per_minute
            .map(|n| if n == 0 { 0 } else { (n / u64::from(sharers)).max(1) }),
        burst: limits.burst,
    }
}
