//! What is usual in a set: [`Fleet`].

use std::sync::atomic::{AtomicU64, Ordering};

use lb_core::Time;
use lb_core::strategy::{MemberSet, Seat};

use super::float::Float;
use super::track::Track;

/// What a request is taken to need while nothing is known of anybody: 10 ms, as in Envoy. It matters only against what
/// is learned later.
const UNKNOWN: f64 = 10e6;
/// How many members are looked at to find out what is usual.
const SAMPLE: usize = 16;
/// After how many requests of a member it is found out anew,
const EVERY: u64 = 16;
/// and after how many nanoseconds, at least, once anything is known: to look at so many members costs as much as several
/// picks.
const PAUSE: u64 = 1_000_000;

/// What is usual among the members of a set, from a sample of up to 16, found out anew now and then. A hint.
pub(crate) struct Fleet {
    /// The median of the members' mean latencies, in nanoseconds; 0: nothing known.
    latency: Float,
    /// The median of the parts of them that fall to each of those who shared them.
    alone: Float,
    /// The load that a member in six exceeds, in requests in flight per relative weight.
    hot: Float,
    /// When it was last found out, in nanoseconds.
    at: AtomicU64,
}

impl Fleet {
    /// What is known of the members already.
    pub(crate) fn new<I>(set: &MemberSet<I>, hot: f64) -> Self {
        let fleet = Self {
            latency: Float::default(),
            alone: Float::default(),
            hot: Float::default(),
            at: AtomicU64::new(0),
        };
        fleet.refresh(set, 0, hot);
        fleet
    }

    /// What a request usually takes, in nanoseconds.
    #[inline]
    pub(crate) fn latency(&self) -> f64 {
        let latency = self.latency.get();
        if latency > 0.0 { latency } else { UNKNOWN }
    }

    /// What a request usually takes of a member's time, in nanoseconds: the latency by the crowd in which it was measured.
    #[inline]
    pub(crate) fn alone(&self) -> f64 {
        let alone = self.alone.get();
        if alone > 0.0 { alone } else { UNKNOWN }
    }

    /// From which load on a member counts as hot.
    #[inline]
    pub(crate) fn hot(&self) -> f64 {
        self.hot.get()
    }

    /// To be told how many requests of a member had ended before one that ended at `now`.
    #[inline]
    pub(crate) fn ended<I>(&self, set: &MemberSet<I>, before: u64, hot: f64, now: Time) {
        if before.is_multiple_of(EVERY) {
            self.refresh_after_a_pause(set, before, hot, now.as_nanos());
        }
    }

    fn refresh_after_a_pause<I>(&self, set: &MemberSet<I>, turn: u64, hot: f64, now: u64) {
        let is_known = self.latency.get() > 0.0;
        if !is_known || now.saturating_sub(self.at.load(Ordering::Relaxed)) >= PAUSE {
            self.at.store(now, Ordering::Relaxed);
            self.refresh(set, turn, hot);
        }
    }

    /// Looks at some members: another part of the set each time. `hot` is the part of members that is not hot.
    fn refresh<I>(&self, set: &MemberSet<I>, turn: u64, hot: f64) {
        let n = set.len().min(SAMPLE);
        let max = f64::from(set.weights().max);
        let (mut latencies, mut alone, mut known) = ([0.0; SAMPLE], [0.0; SAMPLE], 0);
        let (mut loads, mut any) = ([0.0; SAMPLE], 0);
        for i in 0..n {
            let position = if n < SAMPLE { i } else { spread(turn, i, set.len()) };
            let Some(seat) = set.slot(position).and_then(|slot| set.seat(slot)) else { continue };
            loads[any] = load(seat, max);
            any += 1;
            let track = Track::of(seat.state());
            if let Some(mean) = track.mean_if_sound() {
                latencies[known] = mean;
                alone[known] = mean / track.crowd(scale(seat, max));
                known += 1;
            }
        }
        if known > 0 {
            self.latency.set(median(&mut latencies[..known]));
            self.alone.set(median(&mut alone[..known]));
        }
        if any > 0 {
            self.hot.set(quantile(&mut loads[..any], hot));
        }
    }
}

/// Which part of the members is not hot, unless a strategy says otherwise: 2^(-1/4), as in the paper on Prequal.
pub(crate) const HOT: f64 = 0.84;

/// Requests in flight per weight, where the heaviest weighs 1.
pub(crate) fn load<I>(seat: &Seat<I>, max: f64) -> f64 {
    seat.in_flight() as f64 * scale(seat, max)
}

/// As how many requests of the heaviest member one of this one counts.
fn scale<I>(seat: &Seat<I>, max: f64) -> f64 {
    max / f64::from(seat.weight().max(1))
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

/// The value in the middle, or the mean of the two that are there. There must be one.
fn median(values: &mut [f64]) -> f64 {
    let (half, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, expected) in
            [(&[3.0][..], 3.0), (&[5.0, 1.0], 3.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 9.0, 2.0], 3.0)]
        {
            assert!((median(&mut values.to_vec()) - expected).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn the_busier_of_two_is_hot() {
        assert!(quantile(&mut [7.0, 0.0], HOT) < 1.0);
        assert!((quantile(&mut [3.0, 9.0, 1.0], HOT) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_sample_is_within_the_set_and_another_each_turn() {
        for len in [17, 1000] {
            let places = |turn| (0..SAMPLE).map(|i| spread(turn, i, len)).collect::<Vec<_>>();
            assert!((0..100).all(|turn| places(turn).iter().all(|place| *place < len)));
            assert_ne!(places(16), places(32));
        }
    }
}
