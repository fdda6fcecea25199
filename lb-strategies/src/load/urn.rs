//! Distinct members drawn by weight: [`Urn`].

use std::hint::select_unpredictable;

use lb_core::strategy::{Candidates, MILD_SKEW, MemberSet, Seat, Slot, skew};

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
struct Drawn {
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

    /// The best of `n` distinct eligible members (at most 10; two at least), drawn as [`draw`](Self::draw) does: each is looked
    /// at once, and `beats` says whether the one before it is given up for it. `None`: there is nobody.
    ///
    /// Two or three that are drawn at once are compared without a branch: which is the better one no processor can foresee,
    /// and to be wrong half the time costs as much as another look; where memory is slow it costs the wait for the loser, too.
    #[inline]
    pub(crate) fn best<S: Copy>(
        &self,
        candidates: &Candidates<'_, I>,
        n: usize,
        look: impl Fn(&Seat<I>) -> S,
        beats: impl Fn(&S, &S) -> bool,
    ) -> Option<Slot> {
        let n = n.min(self.set.len()).min(MOST_CHOICES);
        if !(2..=3).contains(&n) {
            return self.best_of_many(candidates, Drawn::new(&self.set)?, n, look, beats);
        }
        let (a, b) = (self.draw_one(candidates), self.draw_one(candidates));
        let c = if n == 3 { self.draw_one(candidates) } else { None };
        match (a, b, c) {
            (Some(a), Some(b), None) if n == 2 && a.0 != b.0 => {
                let (seen_a, seen_b) = (look(a.1), look(b.1));
                Some(select_unpredictable(beats(&seen_b, &seen_a), b.0, a.0))
            }
            (Some(a), Some(b), Some(c)) if a.0 != b.0 && a.0 != c.0 && b.0 != c.0 => {
                let (seen_a, seen_b, seen_c) = (look(a.1), look(b.1), look(c.1));
                let is_b = beats(&seen_b, &seen_a);
                let (best, seen) =
                    (select_unpredictable(is_b, b.0, a.0), select_unpredictable(is_b, seen_b, seen_a));
                Some(select_unpredictable(beats(&seen_c, &seen), c.0, best))
            }
            _ => {
                let mut drawn = Drawn::new(&self.set)?;
                for (slot, _) in [a, b, c].into_iter().flatten() {
                    drawn.push(slot);
                }
                self.best_of_many(candidates, drawn, n, look, beats)
            }
        }
    }

    /// The same where some are drawn already.
    #[inline(never)]
    fn best_of_many<S: Copy>(
        &self,
        candidates: &Candidates<'_, I>,
        mut drawn: Drawn,
        n: usize,
        look: impl Fn(&Seat<I>) -> S,
        beats: impl Fn(&S, &S) -> bool,
    ) -> Option<Slot> {
        if !self.draw(&mut drawn, candidates, n) {
            return None;
        }
        let mut best = drawn.first();
        let mut seen = look(candidates.seat(best)?);
        for slot in &drawn.as_slice()[1..] {
            let other = look(candidates.seat(*slot)?);
            if beats(&other, &seen) {
                (best, seen) = (*slot, other);
            }
        }
        Some(best)
    }

    /// Draws `n` distinct eligible members (no more than there are, nor than 10), each with a chance in proportion to its weight among those that
    /// were not drawn before; less if there are not as many. `false`: there is none. Expected O(n) while most members are
    /// eligible, else O(number of members).
    ///
    /// Goes on where some are drawn already.
    fn draw(&self, drawn: &mut Drawn, candidates: &Candidates<'_, I>, n: usize) -> bool {
        for _ in 0..self.draws * n {
            if drawn.len == n {
                return true;
            }
            if let Some((slot, _)) = self.draw_one(candidates) {
                drawn.push(slot);
            }
        }
        drawn.len == n || self.draw_from_all(drawn, candidates, n)
    }

    /// Anybody by weight, if it is eligible.
    #[inline]
    fn draw_one<'a>(&self, candidates: &Candidates<'a, I>) -> Option<(Slot, &'a Seat<I>)> {
        let set = &self.set;
        let weights = set.weights();
        let slot = if weights.are_equal() {
            set.slot(candidates.random_below(set.len()))?
        } else {
            self.draw_by_weight(candidates)?
        };
        let seat = candidates.eligible_seat(slot)?;
        candidates.is_warm(seat).then_some((slot, seat))
    }

    #[inline(never)]
    fn draw_by_weight(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        if let Some(table) = &self.table {
            return table.draw(candidates.random_below(table.len()), candidates.random_bits());
        }
        let set = &self.set;
        let slot = set.slot(candidates.random_below(set.len()))?;
        let accepted =
            candidates.random_unit() * f64::from(set.weights().max) < f64::from(set.seat(slot)?.weight());
        accepted.then_some(slot)
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
    fn new<I>(set: &MemberSet<I>) -> Option<Self> {
        Some(Self { slots: [set.slot(0)?; MOST_CHOICES], len: 0 })
    }

    /// Puts in who is not there yet.
    fn push(&mut self, slot: Slot) {
        if !self.as_slice().contains(&slot) {
            self.slots[self.len] = slot;
            self.len += 1;
        }
    }

    /// All of them.
    fn as_slice(&self) -> &[Slot] {
        &self.slots[..self.len]
    }

    /// The first one; anybody before any was drawn.
    fn first(&self) -> Slot {
        self.slots[0]
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;

    use super::*;
    use lb_core::Instance;
    use lb_core::strategy::{Exclusions, PickRequest};
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
            let two = if from_all {
                let mut drawn = Drawn::new(&set).unwrap();
                assert!(urn.draw_from_all(&mut drawn, &candidates, 2));
                assert_eq!(drawn.as_slice().len(), 2);
                [drawn.slots[0], drawn.slots[1]]
            } else {
                both(&urn, &candidates)
            };
            assert_ne!(two[0], two[1]);
            for (place, slot) in two.iter().enumerate() {
                counts[slot.index()][place] += 1.0 / f64::from(DRAWN);
            }
        }
        counts
    }

    /// The two that one draw compares, in the order in which they were drawn.
    fn both(urn: &Urn<Instance>, candidates: &Candidates<'_, Instance>) -> [Slot; 2] {
        let looked_at = RefCell::new(Vec::new());
        let look = |seat: &Seat<_>| looked_at.borrow_mut().push(Arc::clone(seat.member()));
        let second = urn.best(candidates, 2, look, |(), ()| true).unwrap();
        let looked_at = looked_at.take();
        assert_eq!(looked_at.len(), 2, "each is looked at once");
        let of = |slot: &Slot, i: usize| Arc::ptr_eq(candidates.member(*slot).unwrap(), &looked_at[i]);
        assert!(of(&second, 1));
        let slots = (0..candidates.len() as u32).map(Slot::from_index);
        [slots.into_iter().find(|slot| of(slot, 0)).unwrap(), second]
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

    /// The number in an id of the bench.
    fn number(id: &str) -> usize {
        id[1..].parse().unwrap()
    }

    /// Two and three are compared in another way than more, and must come out alike.
    #[test]
    fn the_best_of_those_drawn_is_chosen() {
        for n in 2..=5 {
            for weights in [vec![1; 5], vec![1, 2, 3, 4, 5]] {
                let bench = StrategyBench::new(Random::new(), 5).with_weights(weights);
                let (set, now, nothing) = (bench.set(), bench.now(), Exclusions::new());
                let urn = Urn::new(&set);
                for _ in 0..1_000 {
                    let candidates = Candidates::new(&set, PickRequest::new(&nothing), &now, bench.random());
                    let lowest = Cell::new((usize::MAX, 0));
                    let look = |seat: &Seat<_>| {
                        let number = number(seat.id());
                        let (least, seen) = lowest.get();
                        lowest.set((least.min(number), seen + 1));
                        number
                    };
                    let best = urn.best(&candidates, n, look, |one, other| one < other).unwrap();
                    let (least, seen) = lowest.get();
                    assert_eq!((number(candidates.member(best).unwrap().id()), seen), (least, n));
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
        let urn = Urn::new(&set);
        let best = urn.best(&candidates, 2, |seat| number(seat.id()), |one, other| one > other);
        assert_eq!(best.map(Slot::index), Some(0));
        let all = bench.exclusions((0..40).map(StrategyBench::id));
        let candidates = Candidates::new(&set, PickRequest::new(&all), &now, bench.random());
        assert_eq!(urn.best(&candidates, 2, |_| (), |(), ()| false), None);
        let nobody = StrategyBench::new(Random::new(), 5).set();
        let candidates = Candidates::new(&nobody, PickRequest::new(&all), &now, bench.random());
        assert_eq!(Urn::new(&nobody).best(&candidates, 2, |_| (), |(), ()| false), None);
    }
}
