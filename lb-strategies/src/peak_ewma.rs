//! Whoever would answer first, judged by its worst latency of late: [`PeakEwma`].

use std::time::Duration;

use lb_core::StrategySpec;
use lb_core::config::human;
use lb_core::strategy::{
    Candidates, Interest, Member, MemberSet, Outcome, Picker, Seat, Slot, Strategy, StrategyError,
};
use serde::Deserialize;

use crate::load::{
    Average, DEFAULT_DECAY, Learner, Memory, Reach, Track, decay_in_range, float, least, scan,
};

/// The member with the least `latency · (in flight + 1)`, where the latency is a moving average that jumps up to every
/// slow answer and forgets it slowly: Finagle's Peak EWMA, with what has been learned since.
///
/// Use it where the tail counts, instances are much alike, and a slow one must be noticed at its first slow answer. Where
/// latencies differ much from request to request it takes chance for slowness; [`Auto`](crate::Auto) does not.
///
/// What it does about the traps of such strategies:
///
/// - *Who fails at once looks fastest.* Failures are not answers: to the latency is added what they cost, which is the odds
///   of a failure times [`Outcome::load_sample_where_usual_is`] (at least a second).
/// - *Who hangs answers nothing, and so keeps its good average.* A member that has requests running and has not ended
///   any for longer than its average counts as that slow.
/// - *Who is new has no average.* It counts as usual (the median of some of the others) until its first request, and
///   as four times that while its first ones run, so that it is not flooded. If nobody is known, 10 ms is usual.
/// - *Who was slow is never asked again.* While nobody asks, the average returns to what is usual (`decay`).
/// - *Two draws may fall on the same member.* All members are compared if there are at most 16 (`scan_up_to`), else two
///   distinct ones (`choices`), drawn by weight.
///
/// Requests in flight count by weight: a member of half the largest weight counts each twice. Those whose cost is within
/// a thousandth of the least share by weight.
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). Reads the clock once. No lock, no allocation. A new set costs O(1), or O(number of
/// members) if some member weighs more than eight times the mean.
///
/// ```
/// use std::time::Duration;
/// use lb_core::strategy::Outcome;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::PeakEwma;
///
/// let bench = StrategyBench::new(PeakEwma::new(), 7).with_equal_members(3);
/// bench.shares(100, &Default::default());
/// let slow = bench.pool().member("m001").unwrap();
/// bench.pool().record(&slow, &Outcome::success(Duration::from_secs(2)), bench.now());
/// assert!(!bench.shares(1_000, &Default::default()).contains_key("m001"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PeakEwma {
    decay: Duration,
    reach: Reach,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    #[serde(with = "human")]
    decay: Duration,
    scan_up_to: Option<usize>,
    choices: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        Self { decay: DEFAULT_DECAY, scan_up_to: None, choices: None }
    }
}

impl PeakEwma {
    /// The name in configuration.
    pub const NAME: &'static str = "peak_ewma";

    /// Everything at its default.
    pub const fn new() -> Self {
        Self { decay: DEFAULT_DECAY, reach: Reach::DEFAULT }
    }

    /// Within which a peak, or what failures were seen, falls to 1/e. Default 10 s, as in Finagle. Shorter: who was slow is
    /// asked again earlier. Kept between 1 ms and 1 h.
    #[must_use]
    pub const fn decay(mut self, decay: Duration) -> Self {
        self.decay = decay;
        self
    }

    /// Up to how many members all are compared. Default 16, at most 64; 0: never.
    #[must_use]
    pub const fn scan_up_to(mut self, members: usize) -> Self {
        self.reach = self.reach.scan_up_to(members);
        self
    }

    /// How many distinct members are drawn from a larger set. Default 2; 2 to 10.
    #[must_use]
    pub const fn choices(mut self, members: usize) -> Self {
        self.reach = self.reach.choices(members);
        self
    }

    /// From configuration: `{ "decay": "10s", "scan_up_to": 16, "choices": 2 }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let decay = decay_in_range(Self::NAME, params.decay)?;
        let reach = Reach::DEFAULT.with_params(Self::NAME, params.scan_up_to, params.choices)?;
        Ok(Self { decay, reach })
    }
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for PeakEwma {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(PeakEwmaPicker {
            reach: self.reach,
            max: f64::from(set.weights().max),
            learner: Learner::new(set, Memory::new(self.decay)),
        })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Costs that differ by no more than that are the same.
const SAME: f64 = 1.001;

struct PeakEwmaPicker<I> {
    reach: Reach,
    /// The largest weight.
    max: f64,
    learner: Learner<I>,
}

/// A member as a pick sees it.
#[derive(Clone, Copy, Default)]
struct Seen {
    cost: f64,
    weight: f64,
}

impl<I> PeakEwmaPicker<I> {
    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, seat: &Seat<I>, usual: f64) -> Seen {
        let Learner { memory, .. } = self.learner;
        let (track, now, in_flight) = (Track::of(seat.state()), candidates.now(), seat.in_flight());
        let latency = track.latency(seat.state(), in_flight, Average::Peak, usual, now, memory);
        let weight = candidates.weight(seat);
        // As a rule all weigh the same.
        let scale = if weight < self.max { self.max / weight } else { 1.0 };
        let busy = float(in_flight) * scale;
        Seen { cost: (latency + track.trouble(now, memory)) * (busy + 1.0), weight }
    }

    // Not part of `pick`, as `choose_of_some` is not: what a scan needs of the stack and of registers a draw would pay for.
    #[inline(never)]
    fn choose_of_all(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.look(candidates, seat, usual);
        scan(candidates, &self.learner.set, look, |all| {
            let least = least(all.found().iter().map(|seen| seen.cost));
            all.choose(candidates, |seen| if seen.cost <= least * SAME { seen.weight } else { 0.0 })
        })
    }

    #[inline(never)]
    fn choose_of_some(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.look(candidates, seat, usual).cost;
        self.learner.urn.best(candidates, self.reach.draws(), look, |cost, best| cost * SAME < *best)
    }
}

impl<I: Send + Sync + 'static> Picker<I> for PeakEwmaPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let usual = self.learner.fleet.latency();
        let chosen = if self.reach.is_whole(&self.learner.set) {
            self.choose_of_all(candidates, usual)?
        } else {
            self.choose_of_some(candidates, usual)?
        };
        Learner::begin(candidates, chosen);
        Some(chosen)
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.learner.learn(member, outcome);
    }

    fn interest(&self) -> Interest {
        Interest::OUTCOMES
    }
}
