//! Whom to ask, and what came of it: [`Prober`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use lb_core::strategy::{Member, MemberSet};
use lb_core::{RandomSource, Time};

use super::pool::{Answer, ProbePool};
use super::probe::{Probe, ProbeReport};
use super::probing::{Pace, Probing};
use super::rule::quantile;
use crate::load::Float;

/// The probing of one service: outlives its pickers.
pub(super) struct Prober<I> {
    pub(super) probe: Arc<dyn Probe<I>>,
    pub(super) counts: Arc<Counts>,
    probing: Probing,
    q_rif: f64,
    picks: CachePadded<AtomicU64>,
    state: Mutex<State<I>>,
}

/// What picks of one set read.
pub(super) struct Board<I> {
    pub(super) set: MemberSet<I>,
    pub(super) pool: ProbePool,
    /// The load above which a member is hot.
    pub(super) hot: Float,
    /// The latency, in nanoseconds, that half of the members are not above.
    pub(super) latency: Float,
}

/// What only the writer needs.
struct State<I> {
    board: Arc<Board<I>>,
    pace: Pace,
    /// Positions whose turn is yet to come, in an order by chance: everybody is asked once before anybody is again.
    deck: Vec<usize>,
    /// The loads and latencies that were last heard of.
    heard: VecDeque<(f64, f64)>,
}

/// How many answers say what is usual.
const RECENT: usize = 128;

/// How many probes were sent, and how they ended.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Somebody to ask.
pub(super) struct Ask<I> {
    pub(super) place: usize,
    pub(super) member: Arc<Member<I>>,
}

impl<I> Board<I> {
    fn new(set: &MemberSet<I>, probing: &Probing, hot: f64, latency: f64) -> Self {
        let board = Self {
            set: set.clone(),
            pool: ProbePool::new(probing.pool, probing.max_age),
            hot: Float::default(),
            latency: Float::default(),
        };
        board.hot.set(hot);
        board.latency.set(latency);
        board
    }

    /// Where a member is that was at `place`, in this set or an earlier one; `None` if it has gone.
    fn place_of(&self, member: &Member<I>, place: usize) -> Option<usize> {
        let is = |other: &Arc<Member<I>>| Arc::ptr_eq(other.state(), member.state());
        if self.set.slot(place).and_then(|slot| self.set.member(slot)).is_some_and(is) {
            return Some(place);
        }
        self.set.iter().position(|(_, seat)| is(seat.member()))
    }

    /// Requests in flight per weight, where the heaviest weighs 1.
    pub(super) fn load(&self, in_flight: u64, weight: f64) -> f64 {
        in_flight as f64 * f64::from(self.set.weights().max) / weight
    }
}

impl<I> Prober<I> {
    pub(super) fn new(
        probe: Arc<dyn Probe<I>>,
        counts: Arc<Counts>,
        probing: Probing,
        q_rif: f64,
        set: &MemberSet<I>,
    ) -> Self {
        let board = Arc::new(Board::new(set, &probing, 0.0, 0.0));
        let state =
            State { board, pace: Pace::default(), deck: Vec::new(), heard: VecDeque::with_capacity(RECENT) };
        Self { probe, counts, probing, q_rif, picks: CachePadded::default(), state: Mutex::new(state) }
    }

    pub(super) fn probing(&self) -> &Probing {
        &self.probing
    }

    pub(super) fn board(&self) -> Arc<Board<I>> {
        Arc::clone(&self.state().board)
    }

    fn state(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pick is made; returns how many there were before.
    #[inline]
    pub(super) fn count_pick(&self) -> u64 {
        self.picks.fetch_add(1, Ordering::Relaxed)
    }

    /// How many picks were made.
    pub(super) fn picks(&self) -> u64 {
        self.picks.load(Ordering::Relaxed)
    }

    /// Takes over another set: what was heard of members that stay is kept. O(number of members).
    pub(super) fn take_over(&self, set: &MemberSet<I>) {
        let mut state = self.state();
        let old = Arc::clone(&state.board);
        let board = Board::new(set, &self.probing, old.hot.get(), old.latency.get());
        // However old they are: whether they are of use is for picks to say.
        for answer in old.pool.answers(Time::ORIGIN, 0) {
            let member = old.set.slot(answer.place).and_then(|slot| old.set.member(slot));
            if let Some(place) = member.and_then(|member| board.place_of(member, answer.place)) {
                board.pool.put(&answer.at_place(place), answer.at);
            }
        }
        state.deck.clear();
        state.board = Arc::new(board);
    }

    /// Whom to ask now, at most `room`.
    pub(super) fn ask(&self, room: usize, now: Time, random: &dyn RandomSource) -> Vec<Ask<I>> {
        let mut state = self.state();
        let set = state.board.set.clone();
        let due = state.pace.due(self.picks(), &self.probing, now).min(room).min(set.len());
        (0..due).filter_map(|_| state.draw(&set, random)).collect()
    }

    /// Somebody has answered. Who has gone meanwhile is not heard.
    pub(super) fn answered(&self, ask: &Ask<I>, report: ProbeReport, now: Time, random: &dyn RandomSource) {
        let mut state = self.state();
        let board = Arc::clone(&state.board);
        let Some(place) = board.place_of(&ask.member, ask.place) else { return };
        let uses = self.probing.uses(board.set.len(), random);
        board.pool.put(&Answer::new(place, report.in_flight, report.latency, now, uses), now);
        if state.heard.len() == RECENT {
            state.heard.pop_front();
        }
        let load = board.load(report.in_flight, f64::from(ask.member.weight().max(1)));
        state.heard.push_back((load, report.latency.as_nanos() as f64));
        let mut values = [0.0; RECENT];
        let mut quantile_of = |value: fn(&(f64, f64)) -> f64, part| {
            values.iter_mut().zip(&state.heard).for_each(|(to, from)| *to = value(from));
            quantile(&mut values[..state.heard.len()], part)
        };
        board.hot.set(quantile_of(|(load, _)| *load, self.q_rif));
        board.latency.set(quantile_of(|(_, latency)| *latency, 0.5));
    }
}

impl<I> State<I> {
    /// The next one, without replacement: who was asked is not asked again before all others were.
    fn draw(&mut self, set: &MemberSet<I>, random: &dyn RandomSource) -> Option<Ask<I>> {
        if self.deck.is_empty() {
            self.deck.extend(0..set.len());
        }
        let chosen = random.below(self.deck.len());
        let place = self.deck.swap_remove(chosen);
        let member = Arc::clone(set.slot(place).and_then(|slot| set.member(slot))?);
        Some(Ask { place, member })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::testing::StrategyBench;
    use lb_core::{CheckFailed, Instance, SeededRandom};
    use std::time::Duration;

    use crate::prequal::ProbeTarget;
    use crate::{Prequal, Random};

    fn bench(n: usize) -> StrategyBench {
        StrategyBench::new(Random::new(), 3).with_equal_members(n)
    }

    fn prober(bench: &StrategyBench) -> Prober<Instance> {
        let silent = |_: ProbeTarget<Instance>| async { Err(CheckFailed::new("silent")) };
        let Prequal { probing, q_rif, .. } = Prequal::new();
        Prober::new(Arc::new(silent), Arc::default(), probing, q_rif, &bench.set())
    }

    fn heard(prober: &Prober<Instance>, now: Time) -> Vec<String> {
        let board = prober.board();
        let id = |answer: Answer| {
            let slot = board.set.slot(answer.place).unwrap();
            board.set.member(slot).unwrap().id().to_string()
        };
        let mut heard: Vec<_> = board.pool.answers(now, 0).map(id).collect();
        heard.sort();
        heard
    }

    #[test]
    fn everybody_is_asked_once_before_anybody_is_again() {
        let bench = bench(9);
        let (prober, random) = (prober(&bench), SeededRandom::new(1));
        for _ in 0..10 {
            (0..3).for_each(|_| _ = prober.count_pick());
            let asked = prober.ask(64, bench.now(), &random);
            let mut ids: Vec<_> = asked.iter().map(|ask| ask.member.id().to_string()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 9);
        }
        // What there is no room for, and who is not there, is not asked.
        (0..30).for_each(|_| _ = prober.count_pick());
        assert_eq!(prober.ask(5, bench.now(), &random).len(), 5);
        prober.take_over(&MemberSet::default());
        (0..30).for_each(|_| _ = prober.count_pick());
        assert!(prober.ask(64, bench.now(), &random).is_empty());
    }

    #[test]
    fn what_was_heard_stays_with_those_that_stay_and_who_has_gone_is_not_heard() {
        let bench = bench(6);
        let (prober, random) = (prober(&bench), SeededRandom::new(1));
        (0..2).for_each(|_| _ = prober.count_pick());
        let asked = prober.ask(64, bench.now(), &random);
        assert_eq!(asked.len(), 6);
        let report = ProbeReport::new(3, Duration::from_millis(1));
        for ask in &asked[..4] {
            prober.answered(ask, report, bench.now(), &random);
        }
        let leaves = [asked[0].member.id().to_string(), asked[4].member.id().to_string()];
        for id in &leaves {
            bench.remove(id);
        }
        bench.put(Instance::new("another"));
        prober.take_over(&bench.set());
        let mut stay: Vec<_> = asked[1..4].iter().map(|ask| ask.member.id().to_string()).collect();
        stay.sort();
        assert_eq!(heard(&prober, bench.now()), stay);
        // Those that were asked before the change and answer after it.
        for ask in &asked[4..] {
            prober.answered(ask, report, bench.now(), &random);
        }
        stay.push(asked[5].member.id().to_string());
        stay.sort();
        assert_eq!(heard(&prober, bench.now()), stay);
    }

    #[test]
    fn who_is_hot_follows_from_what_was_heard() {
        let bench = bench(10);
        let (prober, random) = (prober(&bench), SeededRandom::new(1));
        (0..4).for_each(|_| _ = prober.count_pick());
        for (i, ask) in prober.ask(64, bench.now(), &random).iter().enumerate() {
            prober.answered(ask, ProbeReport::new(i as u64, Duration::ZERO), bench.now(), &random);
        }
        assert!((prober.board().hot.get() - 7.0).abs() < f64::EPSILON, "0.84 of 0 to 9");
    }
}
