//! Choosing within an aperture.

use std::sync::Arc;

use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, previous_as,
};

use super::ring::Aperture;
use crate::subset::Spare;

/// Candidates are all whole members, and the partial ones with such a chance that each gets its part.
///
/// With whole members of weight W, and two others of weights v and w of which the parts a and b are seen, T = W + av + bw:
/// the choice is among all with chance ab(W + v + w)/T, without the second with a(1 − b)(W + v)/T, without the first with
/// (1 − a)b(W + w)/T, and without both with (1 − a)(1 − b)W/T. These add up to 1, and the first gets
/// (ab + a(1 − b))v/T = av/T, as it should.
pub(super) struct AperturePicker<I> {
    /// At least one; the first is that of all.
    choices: Box<[Choice<I>]>,
    spare: Spare<I>,
}

struct Choice<I> {
    /// The end of its stretch of `0..=u64::MAX`; it begins where the one before ends.
    end: u64,
    inner: Box<dyn Picker<I>>,
}

impl<I: Send + Sync + 'static> AperturePicker<I> {
    /// `order` are the members as they lie on the ring.
    pub(super) fn new(
        set: &MemberSet<I>,
        order: &[Slot],
        aperture: &Aperture,
        inner: &impl Strategy<I>,
        previous: Option<&dyn Picker<I>>,
    ) -> Self {
        let whole: Vec<Slot> = aperture.whole.iter().map(|place| order[*place]).collect();
        let partly: Vec<(Slot, f64)> =
            aperture.partly.iter().map(|(place, part)| (order[*place], *part)).collect();
        let subsets: Vec<_> = combinations(&partly)
            .into_iter()
            .map(|(slots, chance)| (set.subset(whole.iter().copied().chain(slots)), chance))
            .filter(|(subset, _)| !subset.is_empty())
            .map(|(subset, chance)| (chance * subset.weights().total as f64, subset))
            .collect();
        let total: f64 = subsets.iter().map(|(chance, _)| chance).sum();
        let before = previous_as::<Self, I>(previous);
        let mut sum = 0.0;
        let choices = subsets.iter().enumerate().map(|(i, (chance, subset))| {
            sum += chance;
            let carried = match before {
                Some(before) => before.choices.get(i).map(|choice| &*choice.inner),
                None if i == 0 => previous,
                None => None,
            };
            // Saturates at the end.
            Choice { end: (sum / total * 2_f64.powi(64)) as u64, inner: inner.picker(subset, carried) }
        });
        Self { choices: choices.collect(), spare: Spare::new(set, &next(order, aperture)) }
    }

    /// What the inner strategy may carry on when there is no aperture any more.
    pub(super) fn inner_of(previous: Option<&dyn Picker<I>>) -> Option<&dyn Picker<I>> {
        previous_as::<Self, I>(previous).map_or(previous, |before| Some(before.all()))
    }

    fn all(&self) -> &dyn Picker<I> {
        &*self.choices[0].inner
    }
}

/// With which of the partial members, and the chance of that per weight of those that are chosen from. All of them first.
fn combinations(partly: &[(Slot, f64)]) -> Vec<(Vec<Slot>, f64)> {
    partly.iter().fold(vec![(Vec::new(), 1.0)], |combinations, (slot, part)| {
        let with = combinations
            .iter()
            .map(|(slots, chance)| (slots.iter().copied().chain([*slot]).collect(), chance * part));
        let without = combinations.iter().map(|(slots, chance)| (slots.clone(), chance * (1.0 - part)));
        with.chain(without).collect()
    })
}

/// As many members as the aperture has, from its end on: who stands in.
fn next(order: &[Slot], aperture: &Aperture) -> Vec<Slot> {
    let mut seen = vec![false; order.len()];
    let places = aperture.whole.iter().copied().chain(aperture.partly.iter().map(|(place, _)| *place));
    places.for_each(|place| seen[place] = true);
    // The first place that is not seen after one that is.
    let after = |place: usize| seen[(place + order.len() - 1) % order.len()] && !seen[place];
    let start = (0..order.len()).find(|place| after(*place)).unwrap_or(0);
    let around = (start..order.len()).chain(0..start).filter(|place| !seen[*place]);
    around.take(aperture.whole.len() + aperture.partly.len()).map(|place| order[place]).collect()
}

impl<I: Send + Sync + 'static> Picker<I> for AperturePicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let drawn = match &*self.choices {
            [_] => 0,
            choices => {
                let point = candidates.random_bits();
                // Rounding may leave a hair after the last end.
                choices.iter().position(|choice| point < choice.end).unwrap_or(0)
            }
        };
        let picked = self.choices.get(drawn).and_then(|choice| choice.inner.pick(candidates));
        picked
            .or_else(|| if drawn == 0 { None } else { self.all().pick(candidates) })
            .or_else(|| self.spare.pick(candidates))
    }

    fn on_start(&self, member: &Member<I>) {
        self.all().on_start(member);
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.all().on_outcome(member, outcome);
    }

    fn interest(&self) -> Interest {
        self.all().interest()
    }

    fn background(&self) -> Vec<Arc<dyn Background>> {
        self.choices.iter().flat_map(|choice| choice.inner.background()).collect()
    }
}
