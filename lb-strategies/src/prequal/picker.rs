//! Choosing by what this client sees.

use lb_core::strategy::{Candidates, Interest, Member, MemberSet, Outcome, Picker, Seat, Slot};

use super::Prequal;
use super::rule::{Seen, better, threshold};
use crate::load::{Average, Learner, Memory, Reach, Track, float, scan};

/// How many requests a failure per success counts as, for each in flight.
const FAILURE: f64 = 10.0;

/// The load of a member of which so many requests fail per success.
#[inline]
pub(super) fn busier_by_failures(load: f64, odds: f64) -> f64 {
    (load + 1.0) * (1.0 + FAILURE * odds) - 1.0
}

pub(super) struct PrequalPicker<I> {
    reach: Reach,
    q_rif: f64,
    /// The largest weight.
    max: f64,
    pub(super) learner: Learner<I>,
}

impl<I> PrequalPicker<I> {
    pub(super) fn new(rules: &Prequal, set: &MemberSet<I>) -> Self {
        Self {
            reach: rules.reach,
            q_rif: rules.q_rif,
            max: f64::from(set.weights().max),
            learner: Learner::with_hot(set, Memory::new(rules.decay), rules.q_rif),
        }
    }

    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, seat: &Seat<I>, usual: f64) -> Seen {
        let Learner { memory, .. } = self.learner;
        let (track, now, in_flight) = (Track::of(seat.state()), candidates.now(), seat.in_flight());
        // Who is unknown and idle is asked at once: as usual it might never be the fastest.
        let latency = if in_flight == 0 && !track.is_known() {
            0.0
        } else {
            // And who is not asked becomes faster in our eyes until it is: at what is usual it might wait for ever.
            let rest = if track.is_known() { usual / 2.0 } else { usual };
            track.latency(seat.state(), in_flight, Average::Mean, rest, now, memory)
        };
        let weight = candidates.weight(seat);
        // As a rule all weigh the same.
        let scale = if weight < self.max { self.max / weight } else { 1.0 };
        let mut load = float(in_flight) * scale;
        if track.is_failing() {
            load = busier_by_failures(load, track.odds(now, memory));
        }
        Seen { load, latency: latency + track.trouble(now, memory), weight }
    }

    // Not part of `pick`, as `choose_of_some` is not: what a scan needs of the stack and of registers a draw would pay for.
    #[inline(never)]
    fn choose_of_all(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.look(candidates, seat, usual);
        scan(candidates, &self.learner.set, look, |all| {
            let hot = threshold(all.found(), self.q_rif);
            let mut best = all.found()[0];
            for seen in &all.found()[1..] {
                if better(seen, &best, hot) {
                    best = *seen;
                }
            }
            all.choose(candidates, |seen| if better(&best, seen, hot) { 0.0 } else { seen.weight })
        })
    }

    #[inline(never)]
    fn choose_of_some(&self, candidates: &Candidates<'_, I>, usual: f64) -> Option<Slot> {
        let look = |seat: &Seat<I>| self.look(candidates, seat, usual);
        let hot = self.learner.fleet.hot();
        self.learner.urn.best(candidates, self.reach.draws(), look, |seen, best| better(seen, best, hot))
    }
}

impl<I: Send + Sync + 'static> Picker<I> for PrequalPicker<I> {
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
