//! What we recommend: [`Auto`].

use std::time::Duration;

use lb_core::StrategySpec;
use lb_core::config::human;
use lb_core::strategy::{
    Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, StrategyError,
};
use serde::Deserialize;

use crate::load::{
    Average, DEFAULT_DECAY, Learner, MOST_SCANNED, Memory, Reach, Scan, Track, decay_in_range, median,
};
use crate::params::in_range;

/// The least loaded of those that would answer about as fast as the fastest: the strategy for those who do not want to
/// choose one.
///
/// For each member it expects a time: its mean latency (what it has been silent for, if that is longer), and what its
/// failures cost, times one more than what it has in flight beyond what is common. Those within a quarter of the
/// shortest expected time are as good as each other. Of these it takes the one with the least in flight for its weight;
/// between equals chance decides, by weight.
///
/// So with instances that are alike it is least-request, which is right at once and does not take chance for slowness; and
/// one that is slow, hangs or fails is left out as by a latency-aware strategy, however idle it looks. The guards against the traps of both
/// are those of [`PeakEwma`](crate::PeakEwma). An instance that has a quota counts with what is left of it as with so much less weight.
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). Reads the clock once. No lock, no allocation. A new set costs O(1), or O(number of
/// members) if some member weighs more than eight times the mean.
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

/// Three are drawn where others draw two: loads and times together tell more than either, and the lab shows a tenth off the
/// 99th percentile where hosts slow down now and then.
const REACH: Reach = Reach::DEFAULT.choices(3);

/// How much it is common to have in flight: what three in four have at least. Where most stand idle because few are much
/// faster, it is not common to have anything in flight. Of up to four the median, which one slow member does not move.
fn commonly(loads: &mut [f64]) -> f64 {
    if loads.len() <= 4 {
        return median(loads);
    }
    let quarter = loads.len().div_ceil(4);
    *loads.select_nth_unstable_by(quarter, f64::total_cmp).1
}

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
    /// The time that a request would take that ran alone, with what failures cost.
    time: f64,
    /// What is in flight for its weight.
    load: f64,
    weight: f64,
}

impl Seen {
    /// The time that is to be expected where it is common to have so much in flight.
    #[inline]
    fn expected(&self, common: f64) -> f64 {
        self.time * (1.0 + (self.load - common).max(0.0))
    }
}

impl<I> AutoPicker<I> {
    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, member: &Member<I>, usual: f64) -> Seen {
        let Learner { memory, .. } = self.learner;
        let (track, now, in_flight) = (Track::of(member), candidates.now(), member.in_flight());
        let latency = track.latency(member, in_flight, Average::Mean, usual, now, memory);
        let weight = candidates.weight(member) * candidates.headroom(member).max(LEAST_ROOM);
        Seen {
            time: latency + track.trouble(now, memory),
            load: in_flight as f64 * self.max / weight,
            weight,
        }
    }

    fn choose_of_all(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let mut scan =
            Scan::new(candidates, &self.learner.set, |member| self.look(candidates, member, usual))?;
        let mut loads = [0.0; MOST_SCANNED];
        let loads = &mut loads[..scan.found().len()];
        loads.iter_mut().zip(scan.found()).for_each(|(load, seen)| *load = seen.load);
        let common = commonly(loads);
        let shortest = scan.found().iter().map(|seen| seen.expected(common)).fold(f64::INFINITY, f64::min);
        let mut least = f64::INFINITY;
        for seen in scan.found_mut() {
            if seen.expected(common) > shortest * self.slack {
                seen.load = f64::INFINITY;
            }
            least = least.min(seen.load);
        }
        scan.choose(candidates, |seen| if seen.load <= least { seen.weight } else { 0.0 })
    }

    fn choose_of_some(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let common = self.learner.fleet.load();
        let drawn = self.learner.urn.draw(candidates, self.reach.draws())?;
        let mut best = drawn.first();
        let mut seen = self.look(candidates, candidates.member(best)?, usual);
        for slot in &drawn.as_slice()[1..] {
            let other = self.look(candidates, candidates.member(*slot)?, usual);
            let (one, two) = (seen.expected(common), other.expected(common));
            let better =
                if two > one * self.slack { false } else { one > two * self.slack || other.load < seen.load };
            if better {
                (best, seen) = (*slot, other);
            }
        }
        Some(best)
    }
}

impl<I: Send + Sync + 'static> Picker<I> for AutoPicker<I> {
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
