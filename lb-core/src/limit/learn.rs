//! What refusals teach of a rate and of the burst that fits: [`Learned`]. Pure arithmetic.
//!
//! Additive increase, multiplicative decrease, but better informed than that of a congestion window. A provider's quota is
//! a bucket, and a refusal says that it is empty. Between two refusals exactly as much passed as flowed in, unless the
//! bucket was full in between. So the rate is measured, over ever longer times, and the decrease goes to what was
//! measured (as TCP Westwood's does), and not below the usual fraction. The increase is a cubic one (as in RFC 9438): for
//! long next to nothing, then faster and faster, since the quota may have been raised. It counts requests that waited for
//! quota, so that an idle hour raises nothing.

use std::time::Duration;

use crate::time::{Time, nanos};

/// What is assumed, per second, when nothing is known but that there is a limit.
const FIRST_GUESS: f64 = 10.0;
/// From so many requests on, what passed between two refusals is a measurement.
const ENOUGH: u64 = 8;
/// The largest decrease at a time while the rate is being searched for, and once it was found.
const SEARCH_DECREASE: f64 = 0.5;
const STEADY_DECREASE: f64 = 0.9;
/// The increase with each request that waited, while the rate is being searched for.
const SEARCH_INCREASE: f64 = 1.1;
/// After so many requests that waited the rate is back at what it was before a decrease that nothing was measured for.
const BACK: f64 = 16.0;
/// After as many requests more as the plateau is long the rate is raised by [`STEADY_INCREASE`], after twice as many by
/// eight times that. The plateau is short after the first measurement, and twice as long after each that agrees.
const STEADY_INCREASE: f64 = 0.05;
const SHORTEST_PLATEAU: f64 = 12.5;
const LONGEST_PLATEAU: f64 = 100.0;
/// By how much a measurement may differ to agree.
const AGREES: f64 = 0.1;
/// The longest time between two attempts while all are refused.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// How much of a measured rate is used: above it the next refusal would be near.
const MARGIN: f64 = 0.99;
/// The range of rates that make sense, per second: one in two days to as many as the arithmetic can tell apart.
const RATES: (f64, f64) = (5e-6, 1e8);

/// How much is known of the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: no request was refused so far.
    #[default]
    Unlimited,
    /// There is a limit. The rate is not measured yet.
    Searching,
    /// The rate was measured, or is declared.
    Found,
}

/// What a refusal changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The bucket holds less than was thought.
    Depth,
    /// The limit is a narrower one, and the bucket is empty.
    Narrowed,
}

/// What was counted up to a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Requests let through, whatever came of them.
    pub(super) passed: u64,
    /// Those of them that the provider refused.
    pub(super) refused: u64,
}

impl Counted {
    fn since(self, earlier: Self) -> u64 {
        let passed = self.passed.saturating_sub(earlier.passed);
        passed.saturating_sub(self.refused.saturating_sub(earlier.refused))
    }
}

/// The last time at which nothing was missing in the bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Full {
    pub(super) at: Time,
    pub(super) passed: u64,
}

/// What refusals have taught.
#[derive(Clone, Copy, Debug)]
pub(super) struct Learned {
    pub(super) phase: Phase,
    /// Per second, right after the last refusal.
    pub(super) rate: f64,
    /// To what the rate goes back soon: what was measured, or what it was before a decrease without a measurement.
    pub(super) target: f64,
    /// After how many requests a higher rate is tried in earnest.
    pub(super) plateau: f64,
    /// How long quota piles up.
    pub(super) depth: Duration,
    /// How many bursts it takes until a longer one is tried.
    pub(super) patience: u64,
    /// The last refusal from which is measured, and what had been counted by then.
    since: Time,
    counted: Counted,
    /// What had been counted at the last refusal that counted, and how many in a row came with nothing let through in
    /// between.
    last: Counted,
    barren: u32,
    /// Whether the last refusal was taken to be for too large a burst.
    burst: bool,
    /// The last time that a refusal narrowed anything. Requests from before that prove nothing new.
    narrowed: Time,
}

impl Learned {
    pub(super) fn new(depth: Duration) -> Self {
        Self {
            phase: Phase::Unlimited,
            rate: FIRST_GUESS,
            target: FIRST_GUESS,
            plateau: SHORTEST_PLATEAU,
            depth,
            patience: 8,
            since: Time::ORIGIN,
            counted: Counted::default(),
            last: Counted::default(),
            barren: 0,
            burst: false,
            narrowed: Time::ORIGIN,
        }
    }

    /// The rate after `waited` requests that waited for quota since the last refusal.
    pub(super) fn grown(phase: Phase, (rate, target): (f64, f64), plateau: f64, waited: u64) -> f64 {
        let n = waited as f64;
        match phase {
            Phase::Unlimited => rate,
            Phase::Searching => rate * SEARCH_INCREASE.powi(waited.min(500) as i32),
            Phase::Found if n < BACK => target - (target - rate) * (1.0 - n / BACK).powi(3),
            Phase::Found => target * (1.0 + STEADY_INCREASE * ((n - BACK) / plateau).powi(3)),
        }
        .clamp(RATES.0, RATES.1)
    }

    /// A request that began at `sent` was refused, while `current` was the rate in force. `cap` is the declared rate.
    /// Of several refusals of one burst only the first one counts.
    pub(super) fn refused(
        &mut self,
        sent: Time,
        now: Time,
        counted: Counted,
        full: Full,
        current: f64,
        cap: Option<f64>,
        retry_after: Option<Duration>,
    ) -> Change {
        if self.phase != Phase::Unlimited && sent <= self.narrowed {
            self.counted.refused += 1;
            self.last.refused += 1;
            if !self.burst {
                return Change::Nothing;
            }
            // One of those that were thought to have fitted into the bucket.
            let unit = Duration::try_from_secs_f64(1.0 / self.rate).unwrap_or_default();
            self.depth = self.depth.saturating_sub(unit).max(unit);
            return Change::Depth;
        }
        self.narrowed = now;
        self.barren = if counted.since(self.last) == 0 { self.barren + 1 } else { 0 };
        self.last = counted;
        self.burst = false;
        let phase = self.phase;
        match phase {
            Phase::Unlimited => {
                (self.phase, self.rate) = match (cap, retry_after) {
                    (Some(cap), _) => (Phase::Found, cap),
                    (None, Some(after)) if !after.is_zero() => {
                        (Phase::Searching, (1.0 / after.as_secs_f64()).clamp(1.0, FIRST_GUESS))
                    }
                    (None, _) => (Phase::Searching, FIRST_GUESS),
                };
                self.barren = 0;
                self.restart(now, counted);
            }
            // All that was let through since the last refusal was refused, too: nothing new about the rate.
            Phase::Found if self.barren > 0 => {}
            _ if self.was_a_burst(now, counted, full) => {}
            Phase::Searching => self.search(now, counted, current),
            Phase::Found => self.adjust(now, counted, full, current),
        }
        if self.phase != Phase::Found {
            self.target = self.rate;
        }
        let cap = cap.unwrap_or(f64::MAX).max(RATES.0);
        self.rate = self.rate.clamp(RATES.0, RATES.1).min(cap);
        self.target = self.target.clamp(self.rate, RATES.1).min(cap);
        Change::Narrowed
    }

    /// How long to leave the provider alone: until the next unit should be there, and twice as long each time that it
    /// was not.
    pub(super) fn hold(&self) -> Duration {
        let unit = Duration::try_from_secs_f64(1.0 / self.rate).unwrap_or(LONGEST_HOLD);
        unit.saturating_mul(1 << self.barren.min(20)).min(LONGEST_HOLD.max(unit))
    }

    fn restart(&mut self, now: Time, counted: Counted) {
        (self.since, self.counted) = (now, counted);
    }

    /// Whether too much was taken at a time, rather than too much altogether: the refusal came soon after the bucket was
    /// full. Then it holds less than was thought.
    fn was_a_burst(&mut self, now: Time, counted: Counted, full: Full) -> bool {
        let depth = self.depth.as_secs_f64() * self.rate;
        let flowed_in = now.since(full.at).as_secs_f64() * self.rate;
        if full.at <= self.since || depth < 1.5 || flowed_in > 2.0 * depth {
            return false;
        }
        let before = Counted { passed: full.passed, refused: self.counted.refused };
        let held = (counted.since(before) as f64 - flowed_in + 0.5).clamp(1.0, depth);
        if held > 0.9 * depth {
            // It holds what was thought, so less flows in.
            let measured = counted.since(self.counted) as f64 / now.since(self.since).as_secs_f64().max(1e-9);
            self.rate = measured.clamp(self.rate * SEARCH_DECREASE, self.rate * STEADY_DECREASE);
            self.target = self.rate;
            self.restart(now, counted);
            return true;
        }
        self.burst = true;
        self.depth = Duration::try_from_secs_f64(held / self.rate).unwrap_or(self.depth);
        self.patience = (self.patience * 2).min(512);
        self.restart(now, counted);
        true
    }

    fn search(&mut self, now: Time, counted: Counted, current: f64) {
        let (passed, time) = (counted.since(self.counted) as f64, now.since(self.since).as_secs_f64());
        let floor = current * SEARCH_DECREASE;
        if passed < ENOUGH as f64 {
            // Measured from the same refusal on until it is enough.
            let at_most = (passed + 1.0) / time.max(1e-9);
            self.rate = if passed < 1.0 { at_most.max(floor) } else { at_most }.min(current);
            return;
        }
        let measured = (passed + 0.5) / time.max(1e-9);
        // Far below what was in force: there was hardly any demand, or the search went too fast.
        self.phase = if measured < floor { Phase::Searching } else { Phase::Found };
        self.rate = (measured * MARGIN).clamp(floor, current);
        self.target = self.rate;
        self.restart(now, counted);
    }

    fn adjust(&mut self, now: Time, counted: Counted, full: Full, current: f64) {
        // From a refusal on, or from a full bucket on: then what was in it came on top.
        let depth = self.depth.as_secs_f64() * self.rate;
        let from_full = full.at > self.since && depth >= 1.5;
        let (since, counted_then, held) = if from_full {
            (full.at, Counted { passed: full.passed, refused: self.counted.refused }, depth)
        } else {
            (self.since, self.counted, 0.0)
        };
        let passed = counted.since(counted_then) as f64 - held;
        let floor = current.min(self.rate) * STEADY_DECREASE;
        if passed < ENOUGH as f64 {
            self.target = current.min(self.target);
            self.rate = floor;
            return;
        }
        let measured = passed / now.since(since).as_secs_f64().max(1e-9) * MARGIN;
        let trust = passed / (passed + 20.0);
        let agrees = (measured - self.target).abs() < AGREES * self.target;
        self.plateau = if agrees { (2.0 * self.plateau).min(LONGEST_PLATEAU) } else { SHORTEST_PLATEAU };
        self.rate = (self.target + trust * (measured - self.target)).clamp(floor, current.max(floor));
        self.target = self.rate;
        self.restart(now, counted);
    }
}

/// The time between two units at a rate, in nanoseconds.
pub(super) fn interval(rate: f64) -> u64 {
    ((1e9 / rate.clamp(RATES.0, RATES.1)) as u64).max(1)
}

/// A depth in nanoseconds.
pub(super) fn depth(learned: &Learned) -> u64 {
    nanos(learned.depth)
}
