//! The limiter that every quota group has by default: [`AdaptiveLimits`].

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bucket::Bucket;
use super::learn::{self, Change, Counted, Full, Learned, Phase};
use super::{Limiter, LimiterFactory, QuotaHint, QuotaSource, QuotaStatus, Refusal};
use crate::limits::Limits;
use crate::time::{Time, nanos};

/// Holds a group to its declared limits; where none are declared, to what the provider's hints say; and where it says
/// nothing, to what its refusals teach.
///
/// Nothing is limited before anything is declared, hinted at or refused: then a request costs one load here. After that
/// it costs a few atomic operations; no lock is taken and nothing is allocated by picks.
#[derive(Debug)]
pub struct AdaptiveLimits {
    /// Whether there is anything to look at.
    engaged: AtomicBool,
    /// 0 is unlimited here; a declared 0 is kept as [`NOBODY`].
    concurrency: AtomicU32,
    in_use: AtomicU32,
    requests: Bucket,
    tokens: Bucket,
    meter: Meter,
    book: Mutex<Book>,
}

/// What picks count for the learning, and what they go by while they do.
#[derive(Debug, Default)]
struct Meter {
    /// [`Phase`].
    phase: AtomicU8,
    /// Requests let through since there is a limit.
    passed: AtomicU64,
    /// Those since the last refusal that were let through as soon as there was room.
    waited: AtomicU64,
    /// When a request last found the bucket full, and how many had passed before it.
    full_at: AtomicU64,
    full_passed: AtomicU64,
    /// The rate right after the last refusal, the one that it soon goes back to, and the declared one: bits of an `f64`.
    rate: AtomicU64,
    target: AtomicU64,
    plateau: AtomicU64,
    cap: AtomicU64,
    /// The longest burst that is tried, in nanoseconds.
    longest: AtomicU64,
    /// Whether the bucket was full since the last burst that emptied it, how many such bursts there were, and how many
    /// it takes until a longer one is tried.
    was_full: AtomicBool,
    bursts: AtomicU64,
    patience: AtomicU64,
}

#[derive(Debug)]
struct Book {
    declared: Limits,
    learned: Learned,
    refused: u64,
    /// The rates, per second, that the provider's hints give, where nothing is declared.
    hinted: Hinted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Hinted {
    requests: Option<f64>,
    tokens: Option<f64>,
}

impl Book {
    /// The rate, per second, above which nothing is tried.
    fn cap(&self) -> Option<f64> {
        self.declared.requests_per_minute.map(|n| f64::from(n) / 60.0).or(self.hinted.requests)
    }
}

/// Stands for a declared concurrency of 0: no request passes.
const NOBODY: u32 = u32::MAX;

/// How long quota piles up where neither [`Limits::burst`] nor a refusal says.
const DEFAULT_BURST: Duration = Duration::from_secs(1);

/// The longest burst that is tried where none is declared.
const LONGEST_BURST: u64 = 60_000_000_000;

impl AdaptiveLimits {
    /// A limiter for the given limits.
    pub fn new(limits: Limits) -> Self {
        let limiter = Self {
            engaged: AtomicBool::new(false),
            concurrency: AtomicU32::new(0),
            in_use: AtomicU32::new(0),
            requests: Bucket::default(),
            tokens: Bucket::default(),
            meter: Meter::default(),
            book: Mutex::new(Book {
                declared: Limits::NONE,
                learned: Learned::new(limits.burst.unwrap_or(DEFAULT_BURST)),
                refused: 0,
                hinted: Hinted::default(),
            }),
        };
        limiter.declare(limits);
        limiter
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<(), Time> {
        let limit = self.concurrency.load(Ordering::Relaxed);
        let mine = self.in_use.fetch_add(1, Ordering::Relaxed);
        if limit == 0 || (limit != NOBODY && mine < limit) {
            return Ok(());
        }
        self.leave();
        Err(Time::MAX)
    }

    fn leave(&self) {
        // A request that began before there was anything to limit was not counted in.
        let _ =
            self.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| in_use.checked_sub(1));
    }

    /// A request was let through by the bucket of requests, in which `missing` nanoseconds' worth were missing.
    fn passed(&self, full_at: u64, now: Time) {
        let meter = &self.meter;
        let phase = meter.phase();
        if phase == Phase::Unlimited {
            return;
        }
        let before = meter.passed.fetch_add(1, Ordering::Relaxed);
        let (interval, depth) = self.requests.shape();
        let waited = if let missing @ 1.. = full_at.saturating_sub(now.as_nanos()) {
            missing.saturating_add(interval + interval / 2) > depth
        } else {
            meter.full_at.store(now.as_nanos(), Ordering::Relaxed);
            meter.full_passed.store(before, Ordering::Relaxed);
            let at_once = depth < 2 * interval && now.as_nanos() - full_at < interval / 2;
            if !at_once {
                meter.was_full.store(true, Ordering::Relaxed);
            }
            at_once
        };
        if waited {
            self.waited(phase, interval, depth);
        }
    }

    /// A request was let through as soon as there was room: the limit is felt, and a higher one is worth trying.
    fn waited(&self, phase: Phase, interval: u64, depth: u64) {
        let meter = &self.meter;
        let waited = meter.waited.fetch_add(1, Ordering::Relaxed) + 1;
        let cap = meter.cap();
        if phase == Phase::Searching || waited <= 16 || waited % 4 == 0 {
            let rate = Learned::grown(phase, meter.rates(), meter.plateau(), waited).min(cap);
            self.requests.set_nanos(learn::interval(rate), depth);
        }
        if meter.was_full.load(Ordering::Relaxed) && meter.was_full.swap(false, Ordering::Relaxed) {
            // A burst that took all there was has passed.
            let bursts = meter.bursts.fetch_add(1, Ordering::Relaxed) + 1;
            let longest = meter.longest.load(Ordering::Relaxed).max(interval);
            if bursts >= meter.patience.load(Ordering::Relaxed) && depth < longest {
                meter.bursts.store(0, Ordering::Relaxed);
                self.requests.set_nanos(interval, (depth + depth / 4).min(longest));
            }
        }
    }

    /// Puts what is declared and learned into force.
    fn put_in_force(&self, book: &Book) {
        let Book { declared, learned, hinted, .. } = book;
        let burst = declared.burst.unwrap_or(DEFAULT_BURST);
        let concurrency = declared.concurrency.map_or(0, |n| if n == 0 { NOBODY } else { n });
        self.concurrency.store(concurrency, Ordering::Relaxed);
        if declared.requests_per_minute == Some(0)
            || (learned.phase == Phase::Unlimited && hinted.requests.is_none())
        {
            self.requests.set(declared.requests_per_minute.map(u64::from), burst);
        } else if learned.phase != Phase::Unlimited {
            self.requests.set_nanos(learn::interval(learned.rate), learn::depth(learned));
        }
        if hinted.tokens.is_none() {
            self.tokens.set(declared.tokens_per_minute, burst);
        }
        let meter = &self.meter;
        meter.cap.store(book.cap().unwrap_or(f64::MAX).to_bits(), Ordering::Relaxed);
        meter.rate.store(learned.rate.to_bits(), Ordering::Relaxed);
        meter.plateau.store(learned.plateau.to_bits(), Ordering::Relaxed);
        meter.target.store(learned.target.to_bits(), Ordering::Relaxed);
        let longest = if declared.requests_per_minute.is_some() { nanos(burst) } else { LONGEST_BURST };
        meter.longest.store(longest, Ordering::Relaxed);
        meter.patience.store(learned.patience, Ordering::Relaxed);
        meter.waited.store(0, Ordering::Relaxed);
        meter.phase.store(learned.phase as u8, Ordering::Relaxed);
        self.engage();
    }

    fn engage(&self) {
        let anything = !self.requests.is_unlimited()
            || !self.tokens.is_unlimited()
            || self.concurrency.load(Ordering::Relaxed) != 0;
        self.engaged.store(anything, Ordering::Relaxed);
    }

    /// Takes over what a provider said of one dimension; returns the rate that follows from it.
    fn take_hint(
        &self,
        bucket: &Bucket,
        said: &Remaining,
        in_use: u64,
        known: Option<f64>,
        now: Time,
    ) -> Option<f64> {
        let reset = said.reset_after.filter(|reset| !reset.is_zero())?.as_secs_f64();
        let (rate, depth) = match said.limit {
            Some(limit) => {
                let used = limit.saturating_sub(said.remaining);
                let enough = known.is_none() || used >= (limit / 2).min(8);
                let rate = if enough && used > 0 { used as f64 / reset } else { known? };
                // Of a bucket the quotient is its rate; of a fixed window it rises without end.
                (known.map_or(rate, |known| rate.clamp(known * 0.5, known * 1.1)), limit.max(1))
            }
            None => (said.remaining.max(1) as f64 / reset, said.remaining.max(1)),
        };
        let interval = learn::interval(rate);
        bucket.set_nanos(interval, interval.saturating_mul(depth));
        bucket.fill_to(said.remaining.saturating_sub(in_use), now);
        Some(rate)
    }
}

impl Meter {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Unlimited,
            1 => Phase::Searching,
            _ => Phase::Found,
        }
    }

    fn rates(&self) -> (f64, f64) {
        let rate = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (rate(&self.rate), rate(&self.target))
    }

    fn plateau(&self) -> f64 {
        f64::from_bits(self.plateau.load(Ordering::Relaxed))
    }

    fn cap(&self) -> f64 {
        f64::from_bits(self.cap.load(Ordering::Relaxed))
    }

    fn full(&self) -> Full {
        let at = Time::from_nanos(self.full_at.load(Ordering::Relaxed));
        Full { at, passed: self.full_passed.load(Ordering::Relaxed) }
    }
}

impl Limiter for AdaptiveLimits {
    fn declare(&self, limits: Limits) {
        let mut book = self.book();
        if book.declared == limits && self.engaged.load(Ordering::Relaxed) {
            return;
        }
        book.declared = limits;
        if let Some(burst) = limits.burst {
            book.learned.depth = book.learned.depth.min(burst);
        }
        if let Some(cap) = limits.requests_per_minute {
            book.hinted.requests = None;
            let cap = f64::from(cap) / 60.0;
            book.learned.rate = book.learned.rate.min(cap);
            book.learned.target = book.learned.target.min(cap);
        }
        if limits.tokens_per_minute.is_some() {
            book.hinted.tokens = None;
        }
        self.put_in_force(&book);
    }

    #[inline]
    fn is_idle(&self) -> bool {
        !self.engaged.load(Ordering::Relaxed)
    }

    fn try_acquire(&self, cost: u64, now: Time) -> Result<(), Time> {
        if self.is_idle() {
            return Ok(());
        }
        self.enter()?;
        match self.requests.take_seeing(1, now) {
            Ok(full_at) => {
                if let Err(at) = self.tokens.take(cost, now) {
                    self.requests.give_back(1);
                    self.leave();
                    return Err(at);
                }
                self.passed(full_at, now);
                Ok(())
            }
            Err(at) => {
                self.leave();
                Err(at)
            }
        }
    }

    fn release(&self) {
        if self.in_use.load(Ordering::Relaxed) != 0 {
            self.leave();
        }
    }

    fn available_at(&self, cost: u64, now: Time) -> Time {
        let limit = self.concurrency.load(Ordering::Relaxed);
        if limit != 0 && (limit == NOBODY || self.in_use.load(Ordering::Relaxed) >= limit) {
            return Time::MAX;
        }
        self.requests.available_at(1, now).max(self.tokens.available_at(cost, now))
    }

    fn headroom(&self, now: Time) -> f64 {
        let concurrency = match self.concurrency.load(Ordering::Relaxed) {
            0 => 1.0,
            NOBODY => 0.0,
            limit => (1.0 - f64::from(self.in_use.load(Ordering::Relaxed)) / f64::from(limit)).max(0.0),
        };
        concurrency.min(self.requests.fill(now)).min(self.tokens.fill(now))
    }

    fn settle(&self, reserved: u64, actual: u64, now: Time) {
        if actual > reserved {
            self.tokens.charge(actual - reserved, now);
        } else {
            self.tokens.give_back(reserved - actual);
        }
    }

    fn refusal(&self, refusal: Refusal, now: Time) -> bool {
        let mut book = self.book();
        book.refused += 1;
        let counted = Counted { passed: self.meter.passed.load(Ordering::Relaxed), refused: book.refused };
        let full = self.meter.full();
        let cap = book.cap();
        let current = self.requests.per_second().unwrap_or(book.learned.rate);
        if book.learned.phase != Phase::Unlimited {
            book.learned.depth = Duration::from_nanos(self.requests.shape().1);
        }
        let change =
            book.learned.refused(refusal.sent, now, counted, full, current, cap, refusal.retry_after);
        match change {
            Change::Nothing => {}
            Change::Depth => {
                self.requests.set_nanos(self.requests.shape().0, learn::depth(&book.learned));
            }
            Change::Narrowed => {
                self.put_in_force(&book);
                // The next unit is there an interval after it was drained.
                let interval = Duration::from_nanos(learn::interval(book.learned.rate));
                self.requests.drain(now + book.learned.hold().saturating_sub(interval));
            }
        }
        change == Change::Narrowed
    }

    fn hint(&self, hint: QuotaHint, now: Time) {
        let mut book = self.book();
        let in_use = u64::from(self.in_use.load(Ordering::Relaxed));
        if let Some(remaining) = hint.remaining_requests {
            if book.declared.requests_per_minute.is_some() {
                self.requests.lower_to(remaining, now);
            } else {
                let said = Remaining { remaining, limit: hint.limit_requests, reset_after: hint.reset_after };
                let rate = self.take_hint(&self.requests, &said, in_use, book.hinted.requests, now);
                book.hinted.requests = rate.or(book.hinted.requests);
            }
        }
        if let Some(remaining) = hint.remaining_tokens {
            if book.declared.tokens_per_minute.is_some() {
                self.tokens.lower_to(remaining, now);
            } else {
                let reset_after = hint.tokens_reset_after.or(hint.reset_after);
                let said = Remaining { remaining, limit: hint.limit_tokens, reset_after };
                let rate = self.take_hint(&self.tokens, &said, 0, book.hinted.tokens, now);
                book.hinted.tokens = rate.or(book.hinted.tokens);
            }
        }
        self.meter.cap.store(book.cap().unwrap_or(f64::MAX).to_bits(), Ordering::Relaxed);
        self.engage();
    }

    fn status(&self, now: Time) -> Option<QuotaStatus> {
        if self.is_idle() {
            return None;
        }
        let book = self.book();
        let source = if !book.declared.is_none() {
            QuotaSource::Declared
        } else if book.hinted.requests.is_some() || book.hinted.tokens.is_some() {
            QuotaSource::Hinted
        } else {
            QuotaSource::Learned
        };
        let (_, depth) = self.requests.shape();
        let per_minute = |bucket: &Bucket| bucket.per_second().map(|rate| rate * 60.0);
        Some(QuotaStatus {
            source,
            requests_per_minute: per_minute(&self.requests),
            tokens_per_minute: per_minute(&self.tokens),
            concurrency: book.declared.concurrency,
            burst: (!self.requests.is_unlimited()).then(|| Duration::from_nanos(depth)),
            refused: book.refused,
            headroom: self.headroom(now),
        })
    }
}

/// What a provider said of one dimension.
struct Remaining {
    remaining: u64,
    limit: Option<u64>,
    reset_after: Option<Duration>,
}

/// Gives every group [`AdaptiveLimits`]: at once if it declares anything, else when the provider first refuses a request
/// or says what is left. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdaptiveLimiters;

impl LimiterFactory for AdaptiveLimiters {
    fn limiter(&self, _: &str, limits: Limits) -> Option<Arc<dyn Limiter>> {
        (!limits.is_none()).then(|| Arc::new(AdaptiveLimits::new(limits)) as Arc<dyn Limiter>)
    }

    fn on_demand(&self, _: &str) -> Option<Arc<dyn Limiter>> {
        Some(Arc::new(AdaptiveLimits::new(Limits::NONE)))
    }
}
