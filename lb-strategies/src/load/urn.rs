//! Distinct members drawn by weight: [`Urn`].

use lb_core::strategy::{Candidates, MILD_SKEW, MemberSet, Slot, skew};

use super::reach::MOST_CHOICES;
use crate::alias::AliasTable;

/// A set to draw from by weight in O(1), whatever the weights.
pub(crate) struct Urn<I> {
    set: MemberSet<I>,
    /// For weights that differ too much to draw anybody and reject the light ones.
    table: Option<AliasTable>,
    /// How often to draw for each that is wanted, before everybody is looked at.
    draws: usize,
}

/// Distinct members in the order in which they were drawn.
#[derive(Debug)]
pub(crate) struct Drawn {
    slots: [Slot; MOST_CHOICES],
    len: usize,
}

/// How often to draw for each that is wanted, before everybody is looked at: more than it takes while a third is eligible and
/// nobody is heavier than the mean, for two choices.
const DRAWS: usize = 24;

impl<I> Urn<I> {
    /// O(1), or O(number of members) if some weigh more than eight times the mean.
    pub(crate) fn new(set: &MemberSet<I>) -> Self {
        let skew = skew(set);
        let table = (skew > MILD_SKEW).then(|| AliasTable::new(set));
        let draws = DRAWS * if table.is_some() { 1 } else { skew.ceil() as usize };
        Self { set: set.clone(), table, draws }
    }

    /// Draws `n` distinct eligible members (at most 10), each with a chance in proportion to its weight among those that
    /// were not drawn before; less if there are not as many. `false`: there is none. Expected O(n) while most members are
    /// eligible, else O(number of members).
    ///
    /// Into what the caller has, because a [`Drawn`] that is returned is moved, for which a processor waits until all of
    /// it has reached its cache: 14 ns.
    #[inline]
    pub(crate) fn draw(&self, drawn: &mut Drawn, candidates: &Candidates<'_, I>, n: usize) -> bool {
        let n = n.min(self.set.len()).min(MOST_CHOICES);
        for _ in 0..self.draws * n {
            if let Some(slot) = self.draw_one(candidates)
                && !drawn.as_slice().contains(&slot)
            {
                drawn.slots[drawn.len] = slot;
                drawn.len += 1;
                if drawn.len == n {
                    return true;
                }
            }
        }
        self.draw_from_all(drawn, candidates, n)
    }

    /// Anybody by weight, if it is eligible.
    #[inline]
    fn draw_one(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let set = &self.set;
        if let Some(table) = &self.table {
            let slot = table.draw(candidates.random_below(table.len()), candidates.random_bits())?;
            return candidates.takes_turn(slot).then_some(slot);
        }
        let slot = set.slot(candidates.random_below(set.len()))?;
        let weights = set.weights();
        let accepted = weights.are_equal()
            || candidates.random_unit() * f64::from(weights.max) < f64::from(set.seat(slot)?.weight());
        (accepted && candidates.takes_turn(slot)).then_some(slot)
    }

    /// The same by looking at everybody once: those with the earliest of random times, each of a rate as large as the
    /// weight (Efraimidis and Spirakis).
    #[cold]
    fn draw_from_all(&self, drawn: &mut Drawn, candidates: &Candidates<'_, I>, n: usize) -> bool {
        drawn.len = 0;
        let mut times = [f64::INFINITY; MOST_CHOICES];
        for (slot, seat) in candidates.eligible(&self.set) {
            let time = -(1.0 - candidates.random_unit()).ln() / candidates.weight(seat);
            let place = times[..drawn.len].partition_point(|earlier| *earlier <= time);
            if place < n {
                drawn.len = (drawn.len + 1).min(n);
                times[place..drawn.len].rotate_right(1);
                drawn.slots[place..drawn.len].rotate_right(1);
                (times[place], drawn.slots[place]) = (time, slot);
            }
        }
        drawn.len > 0
    }
}

impl Drawn {
    /// Nobody yet. `None`: there is nobody to draw.
    #[inline]
    pub(crate) fn new<I>(set: &MemberSet<I>) -> Option<Self> {
        Some(Self { slots: [set.slot(0)?; MOST_CHOICES], len: 0 })
    }

    /// All of them.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[Slot] {
        &self.slots[..self.len]
    }

    /// The first one; anybody before any was drawn.
    #[inline]
    pub(crate) fn first(&self) -> Slot {
        self.slots[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::strategy::PickRequest;
    use lb_core::testing::StrategyBench;

    use crate::Random;

    /// How often members of the given weights are drawn first and second, in `DRAWN` draws; the members in `out` are not
    /// eligible.
    fn counts(weights: &[u32], out: &[usize], from_all: bool) -> Vec<[f64; 2]> {
        let bench = StrategyBench::new(Random::new(), 5).with_weights(weights.iter().copied());
        let (set, now) = (bench.set(), bench.now());
        let tried = bench.exclusions(out.iter().map(|i| StrategyBench::id(*i)));
        let urn = Urn::new(&set);
        let mut counts = vec![[0.0; 2]; weights.len()];
        for _ in 0..DRAWN {
            let candidates = Candidates::new(&set, PickRequest::new(&tried), &now, bench.random());
            let mut drawn = Drawn::new(&set).unwrap();
            let any = if from_all {
                urn.draw_from_all(&mut drawn, &candidates, 2)
            } else {
                urn.draw(&mut drawn, &candidates, 2)
            };
            assert!(any);
            assert!(drawn.as_slice().len() == 2 && drawn.as_slice()[0] != drawn.as_slice()[1]);
            for (place, slot) in drawn.as_slice().iter().enumerate() {
                counts[slot.index()][place] += 1.0 / f64::from(DRAWN);
            }
        }
        counts
    }

    const DRAWN: u32 = 40_000;

    #[test]
    fn the_first_and_the_second_are_drawn_by_weight() {
        for (weights, out) in [
            (vec![1, 1, 1], vec![]),
            (vec![1, 2, 4], vec![]),
            (vec![1, 2, 4, 7], vec![3]),
            ([vec![1, 2, 4], vec![1000], vec![1; 60]].concat(), (3..64).collect()),
        ] {
            let total: f64 = weights
                .iter()
                .enumerate()
                .filter(|(i, _)| !out.contains(i))
                .map(|(_, w)| f64::from(*w))
                .sum();
            let part = |i: usize| if out.contains(&i) { 0.0 } else { f64::from(weights[i]) / total };
            for from_all in [false, true] {
                for (i, [first, second]) in counts(&weights, &out, from_all).into_iter().enumerate() {
                    let after = |j: usize| part(j) / (1.0 - part(j)) * part(i);
                    let expected = (0..weights.len()).filter(|j| *j != i).map(after).sum::<f64>();
                    assert!((first - part(i)).abs() < 0.015, "{weights:?}, {i}: {first} first, {}", part(i));
                    assert!(
                        (second - expected).abs() < 0.015,
                        "{weights:?}, {i}: {second} second, {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn who_is_alone_is_drawn_alone() {
        let bench = StrategyBench::new(Random::new(), 5).with_equal_members(40);
        let (set, now) = (bench.set(), bench.now());
        let tried = bench.exclusions((1..40).map(StrategyBench::id));
        let candidates = Candidates::new(&set, PickRequest::new(&tried), &now, bench.random());
        let mut drawn = Drawn::new(&set).unwrap();
        assert!(Urn::new(&set).draw(&mut drawn, &candidates, 2));
        assert_eq!(drawn.as_slice().len(), 1);
        let all = bench.exclusions((0..40).map(StrategyBench::id));
        let candidates = Candidates::new(&set, PickRequest::new(&all), &now, bench.random());
        assert!(!Urn::new(&set).draw(&mut Drawn::new(&set).unwrap(), &candidates, 2));
        let nobody = StrategyBench::new(Random::new(), 5).set();
        assert!(Drawn::new(&nobody).is_none());
    }
}
