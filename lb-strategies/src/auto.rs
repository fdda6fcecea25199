//! What we recommend: [`Auto`].

use std::hint::select_unpredictable;
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
use crate::params::in_range;

/// The least loaded of those that would answer about as fast as the fastest: the strategy for those who do not want to
/// choose one.
///
/// Each member that is compared is given the time that a request would take there:
///
/// ```text
/// expected = latency · (2 + load) / (4 + crowd) / headroom + trouble
/// ```
///
/// Those within a quarter of the shortest expected time are as good as each other. Of these the one with the least load is
/// taken; between equals chance decides, by weight. What goes into it:
///
/// - *`latency`* is the mean of about the last eight, or the time for which the member has been silent with requests
///   running, if that is longer. A peak would take chance for slowness where requests differ; silence shows a hung member
///   before it answers.
/// - *`crowd`* is the load that it had besides while that latency was measured, and *`load`* what it has now: in flight, per
///   weight. So what was picked a moment ago counts before it shows in any latency, the latency of a member that queues is
///   shared out among those in the queue, and one that serves many at once as fast as one is not thought slow for having
///   many. The 4 keeps that from proving itself: a member that was given few requests and one that was given many, both
///   as fast, are given the same number in the end. The 2 (this request, and one more) makes a pick a little less eager to
///   level what is overloaded everywhere: some short queues save more calls than many that are all a bit too long.
/// - Failures count as load, ten requests for each failure per success, or who fails at once would always be the least
///   loaded of those that fail.
/// - *`trouble`* is what the failures before a success cost, each at least a second, whatever the load: a failure comes soon
///   however many run.
/// - *`headroom`* is what is left of the member's quota, from 1 down to 0.01. A key that is nearly used up is the better
///   choice only if it is that much faster, so that all are used and none is refused.
/// - *Within a quarter* (`tolerance`), since means of eight differ by that from chance alone. So with instances that are
///   alike it is least-request, and one that is slow, hangs or fails is left out, however idle it looks.
/// - *Three choices* in a set of more than 16, one more than usual. Load and time together tell more than either, and the
///   simulator shows a tenth off the 99th percentile where hosts slow down now and then.
///
/// Who is new, and who has not been asked for long, is treated as by [`PeakEwma`](crate::PeakEwma).
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). Reads the clock once. No lock,
/// no allocation. A new set costs O(1), or O(number of members) if some member weighs more than eight times the mean.
///
/// ```
/// use std::time::Duration;
/// use lb_core::strategy::Outcome;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Auto;
///
/// let bench = StrategyBench::new(Auto::new(), 7).with_equal_members(3);
/// bench.shares(100, &Default::default());
/// let slow = bench.pool().member("m001").unwrap();
/// (0..3).for_each(|_| _ = bench.pool().record(&slow, &Outcome::success(Duration::from_millis(50)), bench.now()));
/// assert!(!bench.shares(1_000, &Default::default()).contains_key("m001"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Auto {
    decay: Duration,
    tolerance: f64,
    reach: Reach,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    #[serde(with = "human")]
    decay: Duration,
    tolerance: f64,
    scan_up_to: Option<usize>,
    choices: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        Self { decay: DEFAULT_DECAY, tolerance: TOLERANCE, scan_up_to: None, choices: None }
    }
}

/// What counts as equally fast, by default.
const TOLERANCE: f64 = 0.25;

impl Auto {
    /// The name in configuration.
    pub const NAME: &'static str = "auto";

    /// Everything at its default.
    pub const fn new() -> Self {
        Self { decay: DEFAULT_DECAY, tolerance: TOLERANCE, reach: REACH }
    }

    /// Within which what was learned of a slow or failing member falls to 1/e while nobody asks it. Default 10 s; kept
    /// between 1 ms and 1 h.
    #[must_use]
    pub const fn decay(mut self, decay: Duration) -> Self {
        self.decay = decay;
        self
    }

    /// How much longer than the shortest a time may be to count as equal. Default 0.25; kept between 0 and 10. Larger:
    /// more like least-request. Smaller: more like Peak EWMA.
    #[must_use]
    pub const fn tolerance(mut self, part: f64) -> Self {
        self.tolerance = if part > 0.0 { part.min(10.0) } else { 0.0 };
        self
    }

    /// Up to how many members all are compared. Default 16, at most 64; 0: never.
    #[must_use]
    pub const fn scan_up_to(mut self, members: usize) -> Self {
        self.reach = self.reach.scan_up_to(members);
        self
    }

    /// How many distinct members are drawn from a larger set. Default 3; 2 to 10.
    #[must_use]
    pub const fn choices(mut self, members: usize) -> Self {
        self.reach = self.reach.choices(members);
        self
    }

    /// From configuration: `{ "decay": "10s", "tolerance": 0.25, "scan_up_to": 16, "choices": 3 }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self {
            decay: decay_in_range(Self::NAME, params.decay)?,
            tolerance: in_range(Self::NAME, "tolerance", params.tolerance, 0.0..=10.0)?,
            reach: REACH.with_params(Self::NAME, params.scan_up_to, params.choices)?,
        })
    }
}

impl Default for Auto {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Auto {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(AutoPicker {
            reach: self.reach,
            slack: 1.0 + self.tolerance,
            max: f64::from(set.weights().max),
            learner: Learner::new(set, Memory::new(self.decay)),
        })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Three are drawn where others draw two.
const REACH: Reach = Reach::DEFAULT.choices(3);

/// What the load counts for besides what is in flight: this request, and one more. Of 1, 2, 3 and 4, 2 and 4 do best in the
/// simulator where every host is overloaded (`retry-storm`), and with 4 members that are alike get less even shares.
const THIS: f64 = 2.0;

/// A member with less than this part of its quota left counts as if it had that.
const LEAST_ROOM: f64 = 0.01;

struct AutoPicker<I> {
    reach: Reach,
    slack: f64,
    /// The largest weight.
    max: f64,
    learner: Learner<I>,
}

/// A member as a pick sees it.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The time that a request is expected to take.
    expected: f64,
    /// What is in flight for its weight and quota, with what failures count as.
    load: f64,
    weight: f64,
}

impl<I> AutoPicker<I> {
    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, seat: &Seat<I>, usual: f64) -> Seen {
        let Learner { memory, .. } = self.learner;
        let (track, now, in_flight) = (Track::of(seat.state()), candidates.now(), seat.in_flight());
        let (room, weight) = (candidates.headroom(seat).max(LEAST_ROOM), candidates.weight(seat));
        // Divisions are what this costs, and as a rule all weigh the same and nobody has a quota.
        let scale = if weight < self.max { self.max / weight } else { 1.0 };
        let dear = if room < 1.0 { 1.0 / room } else { 1.0 };
        let crowd = track.crowd(scale);
        let latency = track.latency(seat.state(), in_flight, Average::Mean, usual * crowd, now, memory);
        let alone = latency / crowd * dear;
        let load = track.burden(float(in_flight) * scale * dear, now, memory);
        Seen { expected: alone * (THIS + load) + track.trouble(now, memory), load, weight: weight * room }
    }

    fn choose_of_all(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.look(candidates, seat, usual);
        scan(candidates, &self.learner.set, look, |all| {
            let shortest = least(all.found().iter().map(|seen| seen.expected));
            let is_fast = |seen: &Seen| seen.expected <= shortest * self.slack;
            let fast = all.found().iter().filter(|seen| is_fast(seen));
            let least = least(fast.map(|seen| seen.load));
            all.choose(candidates, |seen| if is_fast(seen) && seen.load <= least { seen.weight } else { 0.0 })
        })
    }

    fn choose_of_some(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        self.learner.urn.best(
            candidates,
            self.reach.draws(),
            |seat| self.look(candidates, seat, usual),
            |seen, best| {
                let slower = seen.expected > best.expected * self.slack;
                let faster = best.expected > seen.expected * self.slack;
                select_unpredictable(faster == slower, seen.load < best.load, faster)
            },
        )
    }
}

impl<I: Send + Sync + 'static> Picker<I> for AutoPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let usual = self.learner.fleet.alone();
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
