//! Whoever has the least to do: [`LeastRequest`].

use lb_core::StrategySpec;
use lb_core::strategy::{
    Candidates, Interest, Member, MemberSet, Outcome, Picker, Seat, Slot, Strategy, StrategyError,
};
use serde::Deserialize;

use crate::load::{DEFAULT_DECAY, Learner, Memory, Reach, Track, float, least, scan};
use crate::params::in_range;

/// The member with the fewest requests in flight for its weight.
///
/// Use it where requests differ much in what they take, or where instances differ and say so by their weights: who is
/// slow has more in flight and is asked less. It needs no history, and so it is right from the first request on. Do not
/// use it where a slow instance must be noticed while hardly anything is in flight ([`Auto`](crate::Auto),
/// [`PeakEwma`](crate::PeakEwma)).
///
/// All members are compared if there are at most 16 (`scan_up_to`), else two distinct ones that are drawn by weight
/// (`choices`). A member is passed over if another, given this request, would still have no more in flight per weight than
/// this one has already. Among those left the chance is `weight / (in flight + 1)^bias` (when all are compared), or the
/// first that was drawn is taken. So with equal weights it is the least loaded, ties at random; and an idle service gets
/// its requests in proportion to the weights, where the plain minimum would always take the heaviest.
///
/// An instance that fails at once never has anything in flight, and would get everything. So who fails counts as busier:
/// with as many failures as successes of late, eleven times; a single failure is not held against anybody.
///
/// O(1) expected in a large set while most members are eligible; else O(number of members). No lock, no allocation. A new set costs O(1), or O(number of
/// members) if some member weighs more than eight times the mean.
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::LeastRequest;
///
/// let bench = StrategyBench::new(LeastRequest::new(), 7).with_equal_members(3);
/// let busy = bench.pick(&Default::default()).unwrap();
/// # let _running = bench.pool().acquire(
/// #     lb_core::strategy::PickRequest::new(&bench.exclusions(
/// #         ["m000", "m001", "m002"].iter().filter(|id| **id != &**busy.id()))), &bench.now(), bench.random()).unwrap();
/// // While a request runs on one of three, the other two share all others.
/// let shares = bench.shares(1_000, &Default::default());
/// assert!(!shares.contains_key(busy.id()) && shares.values().all(|count| (400..600).contains(count)), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LeastRequest {
    bias: f64,
    reach: Reach,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    bias: Option<f64>,
    scan_up_to: Option<usize>,
    choices: Option<usize>,
}

impl LeastRequest {
    /// The name in configuration.
    pub const NAME: &'static str = "least_request";

    /// All of up to 16 members compared, else two.
    pub const fn new() -> Self {
        Self { bias: 1.0, reach: Reach::DEFAULT }
    }

    /// How much requests in flight count against weight. Default 1; 0: not at all, it is then by weight at random; kept
    /// between 0 and 10.
    #[must_use]
    pub const fn bias(mut self, bias: f64) -> Self {
        self.bias = if bias > 0.0 { bias.min(10.0) } else { 0.0 };
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

    /// From configuration: `{ "bias": 1.0, "scan_up_to": 16, "choices": 2 }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let bias = in_range(Self::NAME, "bias", params.bias.unwrap_or(1.0), 0.0..=10.0)?;
        let reach = Reach::DEFAULT.with_params(Self::NAME, params.scan_up_to, params.choices)?;
        Ok(Self { bias, reach })
    }
}

impl Default for LeastRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for LeastRequest {
    fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        Box::new(LeastRequestPicker {
            strategy: *self,
            learner: Learner::new(set, Memory::new(DEFAULT_DECAY)),
        })
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct LeastRequestPicker<I> {
    strategy: LeastRequest,
    learner: Learner<I>,
}

/// A member as a pick sees it.
#[derive(Clone, Copy, Default)]
struct Load {
    /// What it has in flight, per weight.
    now: f64,
    /// What it would have with this request.
    then: f64,
}

impl Load {
    /// Its weight by what it would have.
    fn share(&self) -> f64 {
        self.then.recip()
    }
}

impl<I> LeastRequestPicker<I> {
    #[inline]
    fn load(&self, candidates: &Candidates<'_, I>, seat: &Seat<I>) -> Load {
        let track = Track::of(seat.state());
        let mut busy = float(seat.in_flight());
        // Only then, for it reads the clock.
        if track.is_failing() {
            busy = track.burden(busy, candidates.now(), self.learner.memory);
        }
        let (bias, weight) = (self.strategy.bias, candidates.weight(seat));
        let (now, then) = if (bias - 1.0).abs() < f64::EPSILON {
            (busy, busy + 1.0)
        } else {
            (busy.powf(bias), (busy + 1.0).powf(bias))
        };
        Load { now: now / weight, then: then / weight }
    }

    // Not part of `pick`, as `choose_of_some` is not: what a scan needs of the stack and of registers a draw would pay for.
    #[inline(never)]
    fn choose_of_all(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.load(candidates, seat);
        scan(candidates, &self.learner.set, look, |all| {
            // What the least loaded would have with this request.
            let bound = least(all.found().iter().map(|load| load.then));
            all.choose(candidates, |load| if load.now < bound { load.share() } else { 0.0 })
        })
    }

    #[inline(never)]
    fn choose_of_some(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.load(candidates, seat);
        let draws = self.strategy.reach.draws();
        self.learner.urn.best(candidates, draws, look, |load, best| load.then <= best.now)
    }
}

impl<I: Send + Sync + 'static> Picker<I> for LeastRequestPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        if self.strategy.bias <= 0.0 {
            candidates.any_eligible(&self.learner.set)
        } else if self.strategy.reach.is_whole(&self.learner.set) {
            self.choose_of_all(candidates)
        } else {
            self.choose_of_some(candidates)
        }
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.learner.learn(member, outcome);
    }

    fn interest(&self) -> Interest {
        Interest::OUTCOMES
    }
}
