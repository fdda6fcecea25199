//! The fastest of those that are not busy: [`Prequal`].

mod rule;

use std::time::Duration;

use lb_core::StrategySpec;
use lb_core::config::human;
use lb_core::strategy::{
    Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, StrategyError,
};
use serde::Deserialize;

use self::rule::{Seen, better, threshold};
use crate::load::{Average, DEFAULT_DECAY, HOT, Learner, Memory, Reach, Scan, Track, decay_in_range};
use crate::params::in_range;

/// The fastest member of those that are not busier than most: the hot-cold rule of Prequal ("Load is not what you should
/// balance", NSDI '24), from what this client sees itself.
///
/// A member is *hot* if it has more in flight (per weight) than `q_rif` of the members have, else *cold*. Of the cold ones
/// the one with the lowest mean latency is taken; if all that are looked at are hot, the one with the least in flight.
///
/// Use it where instances differ in speed and load is high: latency decides, as long as nobody gets far more than the
/// others. The paper has servers report what they have in flight, over all clients, when they are probed. Here it is
/// what this client has in flight, so it needs enough of that to tell busy from idle: many requests per instance, few
/// clients. Else use [`Auto`](crate::Auto).
///
/// The guards against traps are those of [`PeakEwma`](crate::PeakEwma), but that who is new is asked first; besides, who
/// fails counts as busier, as in [`LeastRequest`](crate::LeastRequest). All members are compared if there are at most 16 (`scan_up_to`), else three
/// distinct ones (`choices`), drawn by weight. Members of the same latency, to a thousandth, share by weight.
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). Reads the clock once. No lock, no
/// allocation. A new set costs O(1), or O(number of members) if some member weighs more than eight times the mean.
///
/// ```
/// use std::time::Duration;
/// use lb_core::strategy::Outcome;
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Prequal;
///
/// let bench = StrategyBench::new(Prequal::new(), 7).with_equal_members(3);
/// bench.shares(100, &Default::default());
/// let fast = bench.pool().member("m001").unwrap();
/// bench.pool().record(&fast, &Outcome::success(Duration::from_micros(100)), bench.now());
/// assert_eq!(bench.serve().as_deref(), Some("m001"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Prequal {
    decay: Duration,
    q_rif: f64,
    reach: Reach,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    #[serde(with = "human")]
    decay: Duration,
    q_rif: f64,
    scan_up_to: Option<usize>,
    choices: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        Self { decay: DEFAULT_DECAY, q_rif: HOT, scan_up_to: None, choices: None }
    }
}

const REACH: Reach = Reach::DEFAULT.choices(3);

impl Prequal {
    /// The name in configuration.
    pub const NAME: &'static str = "prequal";

    /// Everything at its default.
    pub const fn new() -> Self {
        Self { decay: DEFAULT_DECAY, q_rif: HOT, reach: REACH }
    }

    /// Within which what was learned of a slow or failing member falls to 1/e while nobody asks it. Default 10 s; kept
    /// between 1 ms and 1 h.
    #[must_use]
    pub const fn decay(mut self, decay: Duration) -> Self {
        self.decay = decay;
        self
    }

    /// Which part of the members is not hot. Default 0.84; good values are 0.6 to 0.9. 0: the least loaded is taken; 1:
    /// the fastest, however busy. Kept between 0 and 1.
    #[must_use]
    pub const fn q_rif(mut self, part: f64) -> Self {
        self.q_rif = if part > 0.0 { part.min(1.0) } else { 0.0 };
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

    /// From configuration: `{ "decay": "10s", "q_rif": 0.84, "scan_up_to": 16, "choices": 3 }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self {
            decay: decay_in_range(Self::NAME, params.decay)?,
            q_rif: in_range(Self::NAME, "q_rif", params.q_rif, 0.0..=1.0)?,
            reach: REACH.with_params(Self::NAME, params.scan_up_to, params.choices)?,
        })
    }
}

impl Default for Prequal {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Prequal {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(PrequalPicker {
            reach: self.reach,
            q_rif: self.q_rif,
            max: f64::from(set.weights().max),
            learner: Learner::with_hot(set, Memory::new(self.decay), self.q_rif),
        })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// How many requests a failure per success counts as, for each in flight.
const FAILURE: f64 = 10.0;

struct PrequalPicker<I> {
    reach: Reach,
    q_rif: f64,
    /// The largest weight.
    max: f64,
    learner: Learner<I>,
}

impl<I> PrequalPicker<I> {
    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, member: &Member<I>, usual: f64) -> Seen {
        let Learner { memory, .. } = self.learner;
        let (track, now, in_flight) = (Track::of(member), candidates.now(), member.in_flight());
        // Who is unknown and idle is asked at once: as usual it might never be the fastest.
        let latency = if in_flight == 0 && !track.is_known() {
            0.0
        } else {
            // And who is not asked becomes faster in our eyes until it is: at what is usual it might wait for ever.
            let rest = if track.is_known() { usual / 2.0 } else { usual };
            track.latency(member, in_flight, Average::Mean, rest, now, memory)
        };
        let weight = candidates.weight(member);
        let mut load = in_flight as f64 * self.max / weight;
        if track.is_failing() {
            load = (load + 1.0) * (1.0 + FAILURE * track.odds(now, memory)) - 1.0;
        }
        Seen { load, latency: latency + track.trouble(now, memory), weight }
    }
}

impl<I: Send + Sync + 'static> Picker<I> for PrequalPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let (set, usual) = (&self.learner.set, self.learner.fleet.latency());
        let chosen = if self.reach.is_whole(set) {
            let scan = Scan::new(candidates, set, |member| self.look(candidates, member, usual))?;
            let hot = threshold(scan.found(), self.q_rif);
            let mut best = scan.found()[0];
            for seen in &scan.found()[1..] {
                if better(seen, &best, hot) {
                    best = *seen;
                }
            }
            scan.choose(candidates, |seen| if better(&best, seen, hot) { 0.0 } else { seen.weight })?
        } else {
            let hot = self.learner.fleet.hot();
            let drawn = self.learner.urn.draw(candidates, self.reach.draws())?;
            let mut best = (drawn.first(), self.look(candidates, candidates.member(drawn.first())?, usual));
            for slot in &drawn.as_slice()[1..] {
                let seen = self.look(candidates, candidates.member(*slot)?, usual);
                if better(&seen, &best.1, hot) {
                    best = (*slot, seen);
                }
            }
            best.0
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
