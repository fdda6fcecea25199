//! What is usual in a set: [`Fleet`].

use lb_core::strategy::{Member, MemberSet};

use super::float::Float;
use super::track::Track;

/// What a request is taken to need while nothing is known of anybody: 10 ms, as in Envoy. It matters only against what
/// is learned later.
const UNKNOWN: f64 = 10e6;
/// How many members are looked at to find out what is usual.
const SAMPLE: usize = 16;
/// After how many requests of a member it is found out anew.
const EVERY: u64 = 16;

/// What is usual among the members of a set, from a sample of up to 16, found out anew now and then. A hint.
pub(crate) struct Fleet {
    /// The median of the members' mean latencies, in nanoseconds; 0: nothing known.
    latency: Float,
    /// The mean load, in requests in flight per relative weight.
    load: Float,
    /// The load that a member in six exceeds.
    hot: Float,
}

impl Fleet {
    /// What is known of the members already.
    pub(crate) fn new<I>(set: &MemberSet<I>, hot: f64) -> Self {
        let fleet = Self { latency: Float::default(), load: Float::default(), hot: Float::default() };
        fleet.refresh(set, 0, hot);
        fleet
    }

    /// What a request usually takes, in nanoseconds.
    #[inline]
    pub(crate) fn latency(&self) -> f64 {
        let latency = self.latency.get();
        if latency > 0.0 { latency } else { UNKNOWN }
    }

    /// How loaded members are on average.
    #[inline]
    pub(crate) fn load(&self) -> f64 {
        self.load.get()
    }

    /// From which load on a member counts as hot.
    #[inline]
    pub(crate) fn hot(&self) -> f64 {
        self.hot.get()
    }

    /// To be told how many requests of a member had ended before one that ended now.
    #[inline]
    pub(crate) fn ended<I>(&self, set: &MemberSet<I>, before: u64, hot: f64) {
        if before.is_multiple_of(EVERY) {
            self.refresh(set, before, hot);
        }
    }

    /// Looks at some members: another part of the set each time. `hot` is the part of members that is not hot.
    fn refresh<I>(&self, set: &MemberSet<I>, turn: u64, hot: f64) {
        let n = set.len().min(SAMPLE);
        let max = f64::from(set.weights().max);
        let (mut latencies, mut known) = ([0.0; SAMPLE], 0);
        let (mut loads, mut any) = ([0.0; SAMPLE], 0);
        for i in 0..n {
            let position = if n < SAMPLE { i } else { spread(turn, i, set.len()) };
            let Some(member) = set.slot(position).and_then(|slot| set.member(slot)) else { continue };
            loads[any] = load(member, max);
            any += 1;
            if let Some(mean) = Track::of(member).mean_if_sound() {
                latencies[known] = mean;
                known += 1;
            }
        }
        if known > 0 {
            self.latency.set(quantile(&mut latencies[..known], 0.5));
        }
        if any > 0 {
            self.load.set(loads[..any].iter().sum::<f64>() / any as f64);
            self.hot.set(quantile(&mut loads[..any], hot));
        }
    }
}

/// Which part of the members is not hot, unless a strategy says otherwise: 2^(-1/4), as in the paper on Prequal.
pub(crate) const HOT: f64 = 0.84;

/// Requests in flight per weight, where the heaviest weighs 1.
pub(crate) fn load<I>(member: &Member<I>, max: f64) -> f64 {
    member.in_flight() as f64 * max / f64::from(member.weight().max(1))
}

/// Places in `0..len`, spread over it, and others for each turn.
fn spread(turn: u64, i: usize, len: usize) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let bits = turn.wrapping_mul(SAMPLE as u64).wrapping_add(i as u64 + 1).wrapping_mul(GOLDEN);
    ((u128::from(bits) * len as u128) >> 64) as usize
}

/// The value that part of them are not above. There must be one.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[(part * (values.len() - 1) as f64) as usize]
}
