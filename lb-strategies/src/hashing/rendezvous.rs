//! Every member draws, the best takes it: [`Rendezvous`].

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;

use super::bound::LoadFactor;
use super::nodes::Source;
use super::picker::{HashPicker, Table};

/// Rendezvous hashing, also known as highest random weight: for every key each member draws a number that depends on
/// both, and the best draw takes it. Requests with the same key (`CallOptions::hash_key`) go to the same member.
///
/// Use it among up to a few hundred members: its shares follow the weights exactly, and no change of the set moves a key
/// that it need not move. Do not use it among thousands: a pick asks every member for its draw
/// ([`Maglev`](crate::Maglev) does not).
///
/// A member of weight w draws −ln(u) / w, where u in (0, 1) is made of the key and xxh64 of its id; the least is taken. So
/// its chance is w / Σw (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights after
/// Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
///
/// **What moves.** Who leaves takes its keys along and nothing else moves; they are spread over the others by weight. Who
/// comes takes its share from all. A changed weight moves only to or from that member.
///
/// A key whose member is not eligible (tried by this call, resting, ejected, draining, full) goes to the next best. A
/// request without a key is given a random one. A member that is eased in ([slow start](lb_core::SlowStart)) draws with
/// the weight that it has at the moment, so it takes its keys over one by one, each once.
///
/// A pick is O(number of members), about 2 ns each; no lock, no allocation. A new set costs O(n log n).
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Rendezvous;
///
/// // Requests of many keys, and some without.
/// let bench = StrategyBench::new(Rendezvous::new(), 7).with_weights([1, 3]);
/// let shares = bench.shares(4_000, &Default::default());
/// assert!((900..1_100).contains(&shares["m000"]), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Rendezvous {
    load_factor: Option<LoadFactor>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    load_factor: Option<f64>,
}

impl Rendezvous {
    /// The name in configuration.
    pub const NAME: &'static str = "rendezvous";

    /// By weight.
    pub const fn new() -> Self {
        Self { load_factor: None }
    }

    /// Bounds loads: no member gets more than `factor` times the mean of requests in flight for its weight, rounded
    /// up; what is above goes to the next best draw. Less than 1 counts as 1. Default: no bound. See
    /// [`Maglev::load_factor`](crate::Maglev::load_factor) for the rule.
    #[must_use]
    pub fn load_factor(mut self, factor: f64) -> Self {
        self.load_factor = Some(LoadFactor::new(factor));
        self
    }

    /// From configuration: `{ "load_factor": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { load_factor: LoadFactor::parse(Self::NAME, params.load_factor)? })
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Rendezvous {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        HashPicker::<I, NoTable>::boxed((), self.load_factor, set, previous)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Proposes nobody: what every picker by hash does then *is* rendezvous hashing.
struct NoTable;

impl Table for NoTable {
    type Spec = ();

    fn build((): (), _: &[Source<'_>]) -> Self {
        Self
    }

    #[inline]
    fn probe(&self, _: u64) -> impl Iterator<Item = Slot> {
        std::iter::empty()
    }
}
