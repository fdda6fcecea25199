//! What is noted of a member: [`Track`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lb_core::Time;
use lb_core::member::MemberState;
use lb_core::strategy::{Outcome, StrategyError};

use super::float::{Float, float};
use crate::params::invalid;

/// Within which what was learned loses its meaning, by default.
pub(crate) const DEFAULT_DECAY: Duration = Duration::from_secs(10);

/// What part of a sample the mean takes in, at least: it spans about the last eight.
const MEAN_STEP: f64 = 1.0 / 8.0;
/// The same for successes and the part of failures.
const SUCCESS_STEP: f64 = 1.0 / 8.0;
/// And for the first of several failures. Those that follow count more ([`Track::observe`]).
const FAILURE_STEP: f64 = 1.0 / 16.0;
/// Up to which part of failures nothing is held against a member: a single one is chance.
const NOISE: f64 = 0.05;
/// More than this part of failures is not believed, so that the way back is not endless.
const WORST: f64 = 0.95;
/// How many requests a failure per success counts as, for each in flight.
const FAILURE: f64 = 10.0;
/// What the crowd counts for besides those that ran at the same time: the request itself, and three more. So a member that
/// was measured one request at a time may be given a second one where others have two, and does not stay at one for ever.
/// Of 1, 2, 3, 4 and 6 it does best in the simulator where every host is overloaded (`retry-storm`).
const MARGIN: f64 = 4.0;
/// How much slower than usual somebody unknown is taken to be while its first requests run.
const UNPROVEN: f64 = 4.0;

/// How fast what was learned loses its meaning: to 1/e within that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// One by the time in nanoseconds: a division costs as much as the rest of what a pick asks of a member.
    per_nano: f64,
}

impl Memory {
    pub(crate) fn new(decay: Duration) -> Self {
        let decay = decay.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        Self { per_nano: 1.0 / decay.as_nanos() as f64 }
    }

    /// What is left after so many nanoseconds.
    #[inline]
    fn left(self, age: f64) -> f64 {
        let part = age * self.per_nano;
        // As a rule the last request ended a moment ago.
        if part < 1e-3 { 1.0 - part } else { exp_minus(part) }
    }
}

/// e to the power of minus `x`, which is not negative, to 1 in 150 as long as it is above 1 in 2,000. The library's, exact to
/// the last bit, costs a pick that looks at 16 members as much as all else.
#[inline]
fn exp_minus(x: f64) -> f64 {
    const PARTS: f64 = 32.0;
    let x = x.min(PARTS) * (1.0 / PARTS);
    // Taylor's, of the 32nd part.
    let e = 1.0 - x * (1.0 - x * (0.5 - x * (1.0 / 6.0)));
    let e = e * e;
    let e = e * e;
    let e = e * e;
    let e = e * e;
    e * e
}

/// A `decay` from parameters, if it is one that makes sense.
pub(crate) fn decay_in_range(name: &str, decay: Duration) -> Result<Duration, StrategyError> {
    if decay < Duration::from_millis(1) || decay > Duration::from_secs(3600) {
        return Err(invalid(name, format!("`decay` is from 1ms to 1h, not {decay:?}")));
    }
    Ok(decay)
}

/// In nanoseconds. `as_secs_f64` would divide.
#[inline]
fn nanos(duration: Duration) -> f64 {
    duration.as_secs() as f64 * 1e9 + f64::from(duration.subsec_nanos())
}

/// Which average of the latency to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Average {
    /// Of about the last eight samples.
    Mean,
    /// Jumps up to a sample that is above it, and forgets it slowly.
    Peak,
}

/// What strategies that learn note of a member. Lives in the member ([`MemberState::notes`]), and so survives changes of the
/// set and of the strategy; all strategies of this crate share it. Durations are in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Track<'a>(&'a [AtomicU64; 8]);

impl<'a> Track<'a> {
    #[inline]
    pub(crate) fn of(member: &'a MemberState) -> Self {
        Self(member.notes())
    }

    /// The average of the latency of what worked; 0: nothing known.
    #[inline]
    fn mean(self) -> Float<&'a AtomicU64> {
        Float(&self.0[0])
    }

    /// The same that [jumps up](Average::Peak).
    #[inline]
    fn peak(self) -> Float<&'a AtomicU64> {
        Float(&self.0[1])
    }

    /// What was in flight besides when those ended from which the mean comes.
    #[inline]
    fn crowd_seen(self) -> Float<&'a AtomicU64> {
        Float(&self.0[2])
    }

    /// Which part of the requests fails, of late.
    #[inline]
    fn failing(self) -> Float<&'a AtomicU64> {
        Float(&self.0[3])
    }

    /// What a failure costs.
    #[inline]
    fn penalty(self) -> Float<&'a AtomicU64> {
        Float(&self.0[4])
    }

    /// When the last request ended.
    #[inline]
    fn at(self) -> &'a AtomicU64 {
        &self.0[5]
    }

    /// Since when nothing has ended, if something runs: the oldest running request is at least that old.
    #[inline]
    fn quiet_since(self) -> &'a AtomicU64 {
        &self.0[6]
    }

    /// How many requests have ended, counted like [`MemberState::started`](lb_core::member::MemberState::started).
    #[inline]
    fn ended(self) -> &'a AtomicU64 {
        &self.0[7]
    }

    /// Whether there is any sample of what works.
    #[inline]
    pub(crate) fn is_known(self) -> bool {
        self.mean().get() > 0.0
    }

    /// Among how many requests the mean latency is shared out: those that ran besides, each counting as `scale`, and
    /// [`MARGIN`].
    #[inline]
    pub(crate) fn crowd(self, scale: f64) -> f64 {
        MARGIN + self.crowd_seen().get() * scale
    }

    /// The mean latency, and whether the member does what it should.
    pub(crate) fn mean_if_sound(self) -> Option<f64> {
        (self.is_known() && self.failing().get() <= NOISE).then(|| self.mean().get())
    }

    /// How long a request that ran alone would take that begins now: the average, which returns to what is `usual`
    /// while nobody asks; or the time for which the member has been silent with requests running, if that is longer.
    /// So one that hangs is seen before it answers.
    #[inline]
    pub(crate) fn latency(
        self,
        member: &MemberState,
        in_flight: u64,
        average: Average,
        usual: f64,
        now: Time,
        memory: Memory,
    ) -> f64 {
        let learned = match average {
            Average::Mean => self.mean().get(),
            Average::Peak => self.peak().get(),
        };
        let believed = if learned <= 0.0 {
            if in_flight == 0 { usual } else { usual * UNPROVEN }
        } else if learned > usual {
            usual + (learned - usual) * memory.left(self.age(now))
        } else {
            learned
        };
        if in_flight == 0 {
            return believed;
        }
        let since = self.quiet_since().load(Ordering::Relaxed);
        let silence = float(now.as_nanos().saturating_sub(since));
        // Who holds answers in flight whose requests have ended is not silent; nor is who was not watched until now.
        if silence > believed && since != 0 && self.has_running(member) { silence } else { believed }
    }

    /// How many requests there are besides one that ends now. Whoever tells of an end may still hold what it picked, or not;
    /// and others hold theirs for longer than their requests run (streams).
    pub(crate) fn others(self, member: &MemberState) -> u64 {
        let running = member.started().saturating_sub(self.ended().load(Ordering::Relaxed));
        let held = member.in_flight();
        if held >= running { held.saturating_sub(1) } else { held }
    }

    fn has_running(self, member: &MemberState) -> bool {
        member.started() > self.ended().load(Ordering::Relaxed)
    }

    /// Whether more requests fail than is chance, or have until a while ago.
    #[inline]
    pub(crate) fn is_failing(self) -> bool {
        self.failing().get() > NOISE
    }

    /// How many failures there are to one success; 0 while they are few enough to be chance.
    #[inline]
    pub(crate) fn odds(self, now: Time, memory: Memory) -> f64 {
        let failing = self.failing().get();
        if failing <= NOISE {
            return 0.0;
        }
        let failing = failing * memory.left(self.age(now)) - NOISE;
        if failing <= 0.0 { 0.0 } else { failing / (1.0 - failing) }
    }

    /// So much in flight, where failures count as requests in flight, too.
    #[inline]
    pub(crate) fn burden(self, busy: f64, now: Time, memory: Memory) -> f64 {
        if self.is_failing() { (busy + 1.0) * (1.0 + FAILURE * self.odds(now, memory)) - 1.0 } else { busy }
    }

    /// What the failures before a success cost, to be expected.
    #[inline]
    pub(crate) fn trouble(self, now: Time, memory: Memory) -> f64 {
        let odds = self.odds(now, memory);
        if odds > 0.0 { odds * self.penalty().get() } else { 0.0 }
    }

    /// How long ago the last request ended, in nanoseconds.
    #[inline]
    fn age(self, now: Time) -> f64 {
        float(now.as_nanos().saturating_sub(self.at().load(Ordering::Relaxed)))
    }

    /// A request is about to begin on a member that has none: its silence begins with it.
    #[inline]
    pub(crate) fn begin(self, member: &MemberState, now: Time) {
        self.quiet_since().store(now.as_nanos(), Ordering::Relaxed);
        // Requests whose end nobody told are over, too.
        self.ended().store(member.started(), Ordering::Relaxed);
    }

    /// Learns from an outcome; returns how many requests had ended before. `others` is what is in flight besides, and
    /// `usual` what a request usually takes.
    ///
    /// The part of failures rises by more the higher it is: from nothing a single failure makes it 6 %, eight in a row
    /// make it 90 %.
    pub(crate) fn observe(self, outcome: &Outcome, others: u64, usual: f64, memory: Memory) -> u64 {
        let left = memory.left(self.age(outcome.at));
        let failing = self.failing().get() * left;
        let elapsed = nanos(outcome.elapsed).max(1.0);
        if outcome.is_success() {
            self.take_in(elapsed, others, left);
            self.failing().set(if failing < NOISE / 100.0 { 0.0 } else { failing * (1.0 - SUCCESS_STEP) });
        } else if outcome.is_lower_bound() {
            self.take_in_if_slow(elapsed, others, left);
        } else if let Some(slow) = outcome.load_sample_where_usual_is(Duration::from_nanos(usual as u64)) {
            self.take_in_if_slow(elapsed, others, left);
            self.penalty().set((self.penalty().get() * left).max(nanos(slow)));
            let step = FAILURE_STEP + failing / 2.0;
            self.failing().set((failing + (1.0 - failing) * step).min(WORST));
        }
        let at = outcome.at.as_nanos();
        self.at().store(at, Ordering::Relaxed);
        self.quiet_since().store(at, Ordering::Relaxed);
        self.ended().fetch_add(1, Ordering::Relaxed)
    }

    fn take_in(self, sample: f64, others: u64, left: f64) {
        let others = float(others);
        let (mean, peak) = (self.mean().get(), self.peak().get());
        if mean <= 0.0 {
            self.mean().set(sample);
            self.crowd_seen().set(others);
            self.peak().set(sample.max(peak));
            return;
        }
        let step = MEAN_STEP.max(1.0 - left);
        self.mean().set(mean + (sample - mean) * step);
        let crowd = self.crowd_seen().get();
        self.crowd_seen().set(crowd + (others - crowd) * step);
        self.peak().set(if sample > peak { sample } else { sample + (peak - sample) * left });
    }

    /// It would have taken longer than that.
    fn take_in_if_slow(self, bound: f64, others: u64, left: f64) {
        let mean = self.mean().get();
        if mean > 0.0 && bound > mean {
            self.take_in(bound, others, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_forgotten_exponentially() {
        let memory = Memory::new(Duration::from_secs(1));
        let mut before = 1.0;
        for i in 1..=760 {
            let (part, left) = (f64::from(i) / 100.0, memory.left(f64::from(i) * 1e7));
            let exact = (-part).exp();
            assert!((left - exact).abs() <= exact / 150.0, "{part}: {left}, not {exact}");
            assert!(left < before);
            before = left;
        }
        assert!((memory.left(1e6) - 0.999).abs() < 1e-6);
        assert!(memory.left(1e18) >= 0.0 && memory.left(1e18) < 1e-9);
    }
}
