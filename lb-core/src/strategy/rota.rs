//! The order in which members come round: [`Rota`].

use super::{MemberSet, Slot, skew};

/// Who comes when. A round has one place per member; with different weights a place takes its turn in as many rounds
/// as its weight is of the largest (a static stride scheduler, after gRFC A58, but exact: the arithmetic is modulo the
/// largest weight, so that over that many rounds each place takes exactly its weight in turns).
///
/// Members that are much heavier than the mean would make most turns of the others void. They get several places,
/// spread over the round, so that at least every fourth turn on average counts whatever the weights.
#[derive(Debug)]
pub(super) struct Rota<I> {
    set: MemberSet<I>,
    /// Turns per round.
    len: u64,
    /// The largest weight of a place. 0: all weigh the same.
    max: u64,
    /// `None`: one place per member, in the order of the set.
    places: Option<Box<[Place]>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    slot: Slot,
    weight: u32,
}

/// From which [`skew`] on heavy members get several places. Below it the set itself is the list of places, and a new
/// set costs nothing.
const PLACES_FROM: f64 = 4.0;

/// 2⁶⁴ divided by the golden ratio: multiples of it, modulo 2⁶⁴, are spread as evenly as can be.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl<I> Rota<I> {
    /// The order of one place per member.
    pub(super) fn ignoring_weights(set: MemberSet<I>) -> Self {
        Self { len: set.len() as u64, set, max: 0, places: None }
    }

    /// The order by weight. O(1); O(n log n) if some are much heavier than the mean.
    pub(super) fn by_weight(set: MemberSet<I>) -> Self {
        if set.weights().are_equal() {
            return Self::ignoring_weights(set);
        }
        let places = (skew(&set) > PLACES_FROM).then(|| places(&set));
        let max = match &places {
            Some(places) => places.iter().map(|place| place.weight).max().unwrap_or(0),
            None => set.weights().max,
        };
        let len = places.as_ref().map_or(set.len(), |places| places.len()) as u64;
        Self { set, len, max: max.into(), places }
    }

    pub(super) fn set(&self) -> &MemberSet<I> {
        &self.set
    }

    /// Whether it takes everybody in every round.
    pub(super) fn is_even(&self) -> bool {
        self.max == 0
    }

    /// Turns per round.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Whose turn it is; `None` if the turn is void. There must be a place.
    #[inline]
    pub(super) fn at(&self, turn: u64) -> Option<Slot> {
        let index = turn % self.len;
        if self.is_even() {
            return self.set.slot(index as usize);
        }
        let place = if let Some(places) = &self.places {
            *places.get(index as usize)?
        } else {
            let slot = self.set.slot(index as usize)?;
            Place { slot, weight: self.set.member(slot)?.weight() }
        };
        self.takes_turn(place.weight, turn / self.len, index).then_some(place.slot)
    }

    /// A place of weight `w` takes `w` turns in `max` rounds, as evenly as whole rounds allow. Places of the same
    /// weight take them in different rounds.
    fn takes_turn(&self, weight: u32, round: u64, index: u64) -> bool {
        let weight = u64::from(weight);
        let phase = (u128::from(index.wrapping_mul(GOLDEN)) * u128::from(self.max)) >> 64;
        // Both factors are below 2³², and so is the phase: no overflow.
        (weight * (round % self.max) + phase as u64) % self.max >= self.max - weight
    }
}

/// Places such that none is heavier than the mean of the members. At most twice as many as members, because each
/// member's places but one weigh at least the mean on average.
fn places<I>(set: &MemberSet<I>) -> Box<[Place]> {
    let members = set.len() as f64;
    let mean = set.weights().total.div_ceil(set.len().max(1) as u64).max(1);
    let mut places = Vec::with_capacity(2 * set.len());
    for (position, (slot, member)) in set.iter().enumerate() {
        let weight = u64::from(member.weight());
        let count = weight.div_ceil(mean);
        let offset = (position as f64 + 0.5) / members;
        for i in 0..count {
            // Differences of a running total, so that the parts add up to the whole.
            let part = weight * (i + 1) / count - weight * i / count;
            places.push(((i as f64 + offset) / count as f64, Place { slot, weight: part as u32 }));
        }
    }
    places.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    places.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::Instance;
    use crate::pool::{Pool, PoolContext};
    use crate::registry::{Entry, Revision, Snapshot};
    use crate::strategy::{Picker, RoundRobin, Strategy};
    use crate::time::Time;

    /// Keeps the set that a pool makes.
    #[derive(Default)]
    struct Spy(Mutex<MemberSet<Instance>>);

    impl Strategy<Instance> for Spy {
        fn picker(
            &self,
            set: &MemberSet<Instance>,
            _: Option<&dyn Picker<Instance>>,
        ) -> Box<dyn Picker<Instance>> {
            *self.0.lock().unwrap() = set.clone();
            RoundRobin::new().picker(set, None)
        }
    }

    /// The order of members `0`, `1`, … of the given weights.
    fn rota(weights: &[u32]) -> Rota<Instance> {
        let spy = Arc::new(Spy::default());
        let mut context = PoolContext::new();
        context.strategy = Arc::clone(&spy) as _;
        let pool = Pool::new("s", Arc::new(context), Time::ORIGIN);
        let entries = weights.iter().enumerate().map(|(i, weight)| {
            Arc::new(Entry::new(Instance::new(format!("{i:05}")).with_weight(*weight), Revision::new(1)))
        });
        let snapshot = Arc::new(Snapshot::new(entries.collect(), None, Revision::new(1)));
        pool.apply(|| snapshot, Time::ORIGIN);
        Rota::by_weight(spy.0.lock().unwrap().clone())
    }

    /// Who comes in `rounds` rounds from the given one on.
    fn order(rota: &Rota<Instance>, from: u64, rounds: u64) -> Vec<usize> {
        let turns = from * rota.len()..(from + rounds) * rota.len();
        turns.filter_map(|turn| Some(rota.at(turn)?.index())).collect()
    }

    fn counts(order: &[usize], n: usize) -> Vec<u32> {
        let mut counts = vec![0; n];
        for i in order {
            counts[*i] += 1;
        }
        counts
    }

    #[test]
    fn everybody_takes_exactly_its_weight_in_a_whole_cycle() {
        let skewed: Vec<u32> = (0..100).map(|i| if i == 40 { 2_000 } else { 1 + i % 3 }).collect();
        for weights in [&[1, 2, 3][..], &[5, 1, 1], &[7, 11, 13, 1, 1], &[1000, 1], &[6, 4], &skewed] {
            let rota = rota(weights);
            for from in [0, 1, 1 << 20] {
                // As many rounds as the heaviest place weighs.
                assert_eq!(counts(&order(&rota, from, rota.max), weights.len()), weights);
            }
        }
    }

    #[test]
    fn any_part_of_a_cycle_is_right_to_within_one_turn_of_each_place() {
        let weights = [9, 7, 5, 3, 1];
        let rota = rota(&weights);
        for rounds in 1..30 {
            for from in 0..9 {
                for (count, weight) in counts(&order(&rota, from, rounds), 5).into_iter().zip(weights) {
                    let share = rounds as f64 * f64::from(weight) / 9.0;
                    assert!(
                        (f64::from(count) - share).abs() < 1.0,
                        "{count} turns in {rounds} rounds for {weight}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_light_member_is_never_between_more_turns_of_the_heavy_one_than_necessary() {
        // 5:1:1 could come as aaaaabc. As evenly as can be, there are two or three `a` between others.
        let order = order(&rota(&[5, 1, 1]), 0, 10);
        let runs: Vec<_> = order.split(|i| *i != 0).map(<[_]>::len).collect();
        assert!(runs[1..runs.len() - 1].iter().all(|run| (2..=3).contains(run)), "{order:?}");
    }

    #[test]
    fn members_of_the_same_weight_take_turns_in_different_rounds() {
        // One in a hundred rounds each, so about one of the hundred in each round.
        let mut weights = vec![1; 100];
        weights[0] = 100;
        weights.extend([100; 100]);
        let rota = rota(&weights);
        assert!(rota.places.is_none(), "not skewed enough");
        for round in 0..100 {
            let light = order(&rota, round, 1).into_iter().filter(|i| (1..100).contains(i)).count();
            assert!(light <= 3, "{light} in round {round}");
        }
    }

    #[test]
    fn every_fourth_turn_counts_whatever_the_weights() {
        let mut one_huge = vec![1; 1000];
        one_huge[500] = 1_000_000;
        let steps: Vec<u32> = (0..1000).map(|i| 1 << (i % 30)).collect();
        for weights in [&one_huge[..], &steps, &[1, 3, 3, 3], &[u32::MAX, 1], &[u32::MAX, 1, 1, 1, 1, 1, 1]] {
            let rota = rota(weights);
            assert!(rota.len() <= 2 * weights.len() as u64, "{} places", rota.len());
            let rounds = 20;
            let taken = order(&rota, 12345, rounds).len() as u64;
            assert!(4 * taken >= rounds * rota.len(), "{taken} of {} turns", rounds * rota.len());
        }
    }

    #[test]
    fn the_places_of_a_heavy_member_are_spread() {
        let mut weights = vec![1; 100];
        weights[0] = 100;
        let rota = rota(&weights);
        let order = order(&rota, 0, 1);
        let runs: Vec<_> = order.split(|i| *i != 0).map(<[_]>::len).collect();
        assert!(runs.iter().all(|run| *run <= 3), "{order:?}");
    }
}
