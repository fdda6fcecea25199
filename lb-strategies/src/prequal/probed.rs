//! Prequal as in the paper, with probes: [`ProbedPrequal`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lb_core::Time;
use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Seat, Slot, Strategy, previous_as,
};

use super::picker::{PrequalPicker, busier_by_failures};
use super::pool::Answer;
use super::probe::Probe;
use super::prober::{Board, Counts, Prober};
use super::rule::{Seen, better};
use super::{Learner, Prequal, Track};

/// [`Prequal`] that asks the servers: by [`Prequal::with_probe`].
pub struct ProbedPrequal<I> {
    rules: Prequal,
    probe: Arc<dyn Probe<I>>,
    counts: Arc<Counts>,
}

/// How many probes a strategy has sent, for all services, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeStats {
    /// Sent. What is neither answered nor failed is on its way, or was given up with its service.
    pub sent: u64,
    /// Answered in time.
    pub answered: u64,
    /// Failed, panicked or not answered in time.
    pub failed: u64,
}

impl<I> ProbedPrequal<I> {
    pub(super) fn new(rules: Prequal, probe: Arc<dyn Probe<I>>) -> Self {
        Self { rules, probe, counts: Arc::default() }
    }

    /// How many probes were sent so far, and how they ended. Keep the strategy in an `Arc` to ask it while a balancer
    /// uses it.
    pub fn probe_stats(&self) -> ProbeStats {
        let Counts { sent, answered, failed } = &*self.counts;
        let [sent, answered, failed] = [sent, answered, failed].map(|count| count.load(Ordering::Relaxed));
        ProbeStats { sent, answered, failed }
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for ProbedPrequal<I> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        let before = previous_as::<ProbedPicker<I>, I>(previous).map(|before| &before.prober);
        let ours = before.filter(|before| Arc::ptr_eq(&before.counts, &self.counts));
        let prober = if let Some(before) = ours {
            before.take_over(set);
            Arc::clone(before)
        } else {
            let Prequal { probing, q_rif, .. } = self.rules;
            let (probe, counts) = (Arc::clone(&self.probe), Arc::clone(&self.counts));
            Arc::new(Prober::new(probe, counts, probing, q_rif, set))
        };
        Box::new(ProbedPicker {
            plain: PrequalPicker::new(&self.rules, set),
            removes: self.rules.probing.removes(set.len()),
            board: prober.board(),
            prober,
        })
    }

    fn name(&self) -> &str {
        Prequal::NAME
    }
}

impl<I> fmt::Debug for ProbedPrequal<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbedPrequal")
            .field("rules", &self.rules)
            .field("stats", &self.probe_stats())
            .finish_non_exhaustive()
    }
}

struct ProbedPicker<I> {
    /// Chooses while less than two have answered.
    plain: PrequalPicker<I>,
    prober: Arc<Prober<I>>,
    board: Arc<Board<I>>,
    /// Whether answers are forgotten that are not used up.
    removes: bool,
}

/// So many answers are compared however old they are.
const FEW: usize = 3;
/// An answer as young as that is as good as a new one.
const FRESH: Duration = Duration::from_millis(10);

impl<I: Send + Sync + 'static> ProbedPicker<I> {
    #[inline]
    fn look(&self, candidates: &Candidates<'_, I>, seat: &Seat<I>, answer: &Answer) -> Seen {
        let (track, memory) = (Track::of(seat.state()), self.plain.learner.memory);
        let weight = candidates.weight(seat);
        let mut load = self.board.load(answer.in_flight, weight);
        let mut latency = answer.latency as f64;
        // Who fails at once is idle and fast, as it sees itself.
        if track.is_failing() {
            let now = candidates.now();
            load = busier_by_failures(load, track.odds(now, memory));
            latency += track.trouble(now, memory);
        }
        Seen { load, latency, weight }
    }

    /// Since when answers are compared: for twice what a request takes, and the youngest three in any case. What is older
    /// others have acted on, too; who compared many old ones would go where everybody has just gone.
    fn since(&self, now: Time) -> Time {
        let recent = Duration::from_nanos((2.0 * self.board.latency.get()) as u64).max(FRESH);
        let mut youngest = [Time::ORIGIN; FEW];
        for answer in self.board.pool.answers(now, 0) {
            let mut at = answer.at;
            for place in &mut youngest {
                if at > *place {
                    std::mem::swap(&mut at, place);
                }
            }
        }
        youngest[FEW - 1].min(now - recent)
    }

    /// The best of those that have answered, if there are two.
    fn by_answers(&self, candidates: &Candidates<'_, I>, turn: u64) -> Option<Slot> {
        let Board { set, pool, hot, .. } = &*self.board;
        let (hot, now) = (hot.get(), candidates.now());
        let since = self.since(now);
        let (mut found, mut best, mut alike) = (0, None::<(Seen, Answer, Slot)>, 0.0);
        let mut leaving = None::<(Seen, Answer)>;
        for answer in pool.answers(now, turn as usize % pool.size()) {
            let Some(slot) = set.slot(answer.place) else { continue };
            let Some(seat) = candidates.seat(slot) else { continue };
            let seen = self.look(candidates, seat, &answer);
            let leaves = |(worst, oldest): &(Seen, Answer)| {
                if turn.is_multiple_of(2) { better(worst, &seen, hot) } else { answer.at < oldest.at }
            };
            if self.removes && leaving.as_ref().is_none_or(leaves) {
                leaving = Some((seen, answer));
            }
            if answer.at < since || !candidates.takes_turn(slot) {
                continue;
            }
            found += 1;
            let is_better = match &best {
                None => true,
                Some((best, ..)) if better(best, &seen, hot) => continue,
                Some((best, ..)) => better(&seen, best, hot),
            };
            // Of those that are alike one by chance, by weight.
            alike = if is_better { seen.weight } else { alike + seen.weight };
            if is_better || candidates.random_unit() * alike < seen.weight {
                best = Some((seen, answer, slot));
            }
        }
        let (_, answer, slot) = best.filter(|_| found >= 2)?;
        pool.take(&answer);
        if let Some((_, answer)) = leaving {
            self.forget(candidates, &answer);
        }
        Some(slot)
    }

    fn forget(&self, candidates: &Candidates<'_, I>, answer: &Answer) {
        let rate = self.prober.probing().remove_rate;
        if rate >= 1.0 || candidates.random_unit() < rate {
            self.board.pool.remove(answer);
        }
    }
}

impl<I: Send + Sync + 'static> Picker<I> for ProbedPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let turn = self.prober.count_pick();
        let Some(chosen) = self.by_answers(candidates, turn) else { return self.plain.pick(candidates) };
        Learner::begin(candidates, chosen);
        Some(chosen)
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.plain.on_outcome(member, outcome);
    }

    fn interest(&self) -> Interest {
        self.plain.interest()
    }

    fn background(&self) -> Vec<Arc<dyn Background>> {
        vec![Arc::clone(&self.prober) as Arc<dyn Background>]
    }
}

#[cfg(test)]
mod tests {

    use super::super::probe::{ProbeReport, ProbeTarget};
    use super::*;
    use lb_core::strategy::{Exclusions, PickRequest};
    use lb_core::testing::{StrategyBench, StrategyContract};
    use lb_core::{CheckFailed, Failure, Instance, SeededRandom};

    /// Whoever is in the set has answered already.
    struct Heard<F>(ProbedPrequal<Instance>, F);

    fn heard<F: Fn(usize) -> ProbeReport + Send + Sync + 'static>(rules: Prequal, report: F) -> Heard<F> {
        let silent = |_: ProbeTarget<Instance>| async { Err(CheckFailed::new("silent")) };
        Heard(rules.with_probe(silent), report)
    }

    impl<F: Fn(usize) -> ProbeReport + Send + Sync + 'static> Strategy<Instance> for Heard<F> {
        fn picker(
            &self,
            set: &MemberSet<Instance>,
            previous: Option<&dyn Picker<Instance>>,
        ) -> Box<dyn Picker<Instance>> {
            let picker = self.0.picker(set, previous);
            let probed = previous_as::<ProbedPicker<Instance>, Instance>(Some(&*picker)).unwrap();
            hear(probed, Time::after_origin(Duration::from_secs(1)), &self.1);
            picker
        }
    }

    /// Of `m007` 7.
    fn index(id: &str) -> usize {
        id[1..].parse().unwrap_or(0)
    }

    /// As many probes as the pool holds are sent and answered.
    fn hear(picker: &ProbedPicker<Instance>, now: Time, report: &dyn Fn(usize) -> ProbeReport) {
        let random = SeededRandom::new(9);
        let set = &picker.board.set;
        (0..6).for_each(|_| _ = picker.prober.count_pick());
        for ask in picker.prober.ask(16.min(set.len()), now, &random) {
            picker.prober.answered(&ask, report(index(ask.member.id())), now, &random);
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn lasting() -> Prequal {
        Prequal::new().probe_max_age(HOUR)
    }

    const ALIKE: ProbeReport = ProbeReport::new(2, Duration::from_millis(5));

    /// With answers in the pool it keeps the rules that have no exception.
    #[test]
    fn with_answers_it_keeps_the_contract() {
        StrategyContract::new().even(false).check(|| heard(lasting(), |_| ALIKE));
    }

    fn bench(n: usize, report: impl Fn(usize) -> ProbeReport + Send + Sync + 'static) -> StrategyBench {
        StrategyBench::new(heard(lasting().q_rif(0.5), report), 3).with_equal_members(n)
    }

    /// The hot-cold rule of the paper on what the servers say.
    #[test]
    fn the_fastest_of_the_cold_is_taken_and_if_all_are_hot_the_least_loaded() {
        let ms = Duration::from_millis;
        // The fastest is hot; of the cold ones the second is the fastest.
        let reports = [(9, 1), (1, 20), (2, 30), (8, 2)];
        let bench = bench(4, move |place| ProbeReport::new(reports[place].0, ms(reports[place].1)));
        assert_eq!(bench.serve().as_deref(), Some("m001"));
        // It has 2 now, the other cold one 2, too: until the third request it is not hot.
        assert_eq!(bench.serve().as_deref(), Some("m001"));
        assert_eq!(bench.serve().as_deref(), Some("m002"), "with 3 in flight the faster one is hot");
        // All are hot now: the least loaded is taken.
        let loads: Vec<_> = (0..8).map(|_| bench.serve().unwrap().to_string()).collect();
        assert!(loads.iter().all(|id| ["m001", "m002"].contains(&&**id)), "{loads:?}");
        assert_eq!(loads.iter().filter(|id| *id == "m001").count(), 4);
    }

    /// A picker of its own and what it picks, each time for a request that ends at once.
    fn with_picker(
        rules: Prequal,
        weights: &[u32],
        test: impl Fn(&ProbedPicker<Instance>, &dyn Fn() -> usize),
    ) {
        let strategy = heard(rules, |_| ALIKE);
        let bench =
            StrategyBench::new(lb_core::strategy::RoundRobin::new(), 3).with_weights(weights.iter().copied());
        let (set, tried) = (bench.set(), Exclusions::new());
        let picker = strategy.picker(&set, None);
        let now = bench.now();
        let pick = || {
            let candidates = Candidates::new(&set, PickRequest::new(&tried), &now, bench.random());
            let slot = picker.pick(&candidates).unwrap();
            index(set.member(slot).unwrap().id())
        };
        test(previous_as::<ProbedPicker<Instance>, Instance>(Some(&*picker)).unwrap(), &pick);
    }

    #[test]
    fn answers_that_are_alike_share_by_weight() {
        with_picker(lasting().q_rif(1.0), &[1, 3], |picker, pick| {
            let now = Time::after_origin(Duration::from_secs(1));
            let mut shares = [0; 2];
            for _ in 0..400 {
                // Anew each time: what counts is the answer, not who got the last request.
                hear(picker, now, &|_| ProbeReport::new(0, Duration::from_millis(5)));
                shares[pick()] += 1;
            }
            assert!((60..=140).contains(&shares[0]), "a quarter of 400: {shares:?}");
        });
    }

    /// The older an answer is, the more have acted on it: of old ones a few are compared.
    #[test]
    fn of_old_answers_only_the_youngest_are_compared() {
        let strategy =
            lasting().with_probe(|_: ProbeTarget<Instance>| async { Err(CheckFailed::new("silent")) });
        let bench = StrategyBench::new(lb_core::strategy::RoundRobin::new(), 3).with_equal_members(8);
        let (set, tried, ms) = (bench.set(), Exclusions::new(), Duration::from_millis);
        let picker = strategy.picker(&set, None);
        let probed = previous_as::<ProbedPicker<Instance>, Instance>(Some(&*picker)).unwrap();
        let place =
            |n| (0..8).find(|&at| index(set.member(set.slot(at).unwrap()).unwrap().id()) == n).unwrap();
        // The first one answered is the fastest.
        for n in 0..8_u64 {
            let at = Time::after_origin(ms(1000 + n));
            let answer = Answer::new(place(n as usize), 0, ms(1 + n), at, super::super::pool::NO_END);
            probed.board.pool.put(&answer, at);
        }
        probed.board.hot.set(9.0);
        let pick = |now: Time| {
            let candidates = Candidates::new(&set, PickRequest::new(&tried), &now, bench.random());
            index(set.member(picker.pick(&candidates).unwrap()).unwrap().id())
        };
        assert_eq!(pick(Time::after_origin(ms(1010))), 0, "all are fresh");
        assert_eq!(pick(Time::after_origin(ms(1012))), 2, "those of the last 10 ms");
        assert_eq!(pick(Time::after_origin(ms(1500))), 5, "the last three");
        probed.board.latency.set(ms(300).as_nanos() as f64);
        assert_eq!(pick(Time::after_origin(ms(1500))), 0, "where a request takes 300 ms they are not old");
    }

    #[test]
    fn who_fails_is_avoided_whatever_it_says() {
        let bench =
            bench(4, |place| ProbeReport::new(u64::from(place != 0), Duration::from_millis(place as u64)));
        let bad = bench.pool().member("m000").unwrap();
        for _ in 0..20 {
            let failure = Outcome::failure(Failure::service(), Duration::from_micros(10));
            bench.pool().record(&bad, &failure, bench.now());
        }
        let shares = bench.shares(100, &Exclusions::new());
        assert_eq!(shares.get("m000"), None, "{shares:?}");
    }

    /// Among more members than the pool holds each pick takes an answer out besides the one that it uses, unless that is
    /// the same.
    #[test]
    fn a_large_set_empties_the_pool_and_a_small_one_keeps_it() {
        for (n, rate, picks, left) in [(100, 1.0, 4, 8..12), (100, 0.0, 4, 12..13), (16, 1.0, 100, 16..17)] {
            // So many probes that each answer is used once.
            let rules = lasting().probe_rate(50.0).probe_remove_rate(rate);
            with_picker(rules, &vec![1; n], |picker, pick| {
                let answers = || picker.board.pool.answers(Time::ORIGIN, 0).count();
                assert_eq!(answers(), 16);
                (0..picks).for_each(|_| _ = pick());
                assert!(left.contains(&answers()), "{n} members, {rate}, {picks} picks: {}", answers());
            });
        }
    }
}
