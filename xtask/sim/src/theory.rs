//! Whether the simulator is right: what comes out of it where queueing theory knows the answer.
//!
//! The simulator's own loop, hosts and pool are used, with pickers that choose as the theory assumes.
//!
//! - *M/M/1, M/M/c*: Poisson arrivals, exponential work, c workers, one queue. The mean wait is Erlang's C formula.
//! - *The supermarket model*: N hosts with one worker each, requests at rate λN; each looks at d hosts chosen at random,
//!   with replacement, and joins the shortest queue. As N grows, the mean time in the system approaches
//!   Σ λ^((dⁱ−d)/(d−1)) over i ≥ 1 (Vvedenskaya, Dobrushin and Karpelevich, 1996; Mitzenmacher, 1996); for d = 1 that is
//!   1/(1−λ).
//!
//! Queues that long take ages to fill. So a run begins in the state that theory expects: the requests that wait then are
//! real ones, placed by the test's picker.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lb_core::ServiceConfig;
use lb_core::strategy::{Candidates, Interest, MemberSet, Picker, Slot, Strategy};

use crate::engine;
use crate::random::Draw;
use crate::scenario::file::{Arrivals, Clients};
use crate::scenario::{Distribution, Host, Scenario, SimHost, Span};

/// The mean time of work. Short, so that a long time passes quickly; all else scales with it.
const WORK: Span = Span::ms(1);

/// How long the runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Long enough for the tolerances that are claimed.
    Full,
    /// For a test: a few seconds, and wider tolerances.
    Short,
}

/// A system of which theory knows the mean time that a request spends in it.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    hosts: usize,
    workers: u32,
    /// Hosts that each request looks at.
    choices: usize,
    /// The load of each worker, 0 to 1.
    load: f64,
    /// In units of the mean work.
    expected: f64,
    tolerance: f64,
    /// How long, in units of the mean work.
    length: f64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Comparison {
    name: String,
    expected: f64,
    found: f64,
    tolerance: f64,
    requests: u64,
}

impl Comparison {
    fn error(&self) -> f64 {
        self.found / self.expected - 1.0
    }

    /// Whether the simulator agrees with theory, within the tolerance.
    pub fn holds(&self) -> bool {
        self.error().abs() <= self.tolerance
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:<34} theory {:>8.3}  simulated {:>8.3}  {:+.2} % (within {:.0} %; {} requests)",
            if self.holds() { "ok    " } else { "FAILED" },
            self.name,
            self.expected,
            self.found,
            self.error() * 100.0,
            self.tolerance * 100.0,
            self.requests
        )
    }
}

/// Erlang's C formula: the chance to wait at all with `c` workers, each under that load.
pub fn erlang_c(c: u32, load: f64) -> f64 {
    let offered = f64::from(c) * load;
    // Erlang's B by its recursion, then C from it.
    let blocked = (1..=c).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    blocked / (1.0 - load * (1.0 - blocked))
}

/// The mean time in the system M/M/c, in units of the mean work.
pub fn mmc(c: u32, load: f64) -> f64 {
    1.0 + erlang_c(c, load) / (f64::from(c) * (1.0 - load))
}

/// The mean time in the supermarket model with that many choices, in units of the mean work.
pub fn supermarket(choices: u32, load: f64) -> f64 {
    if choices == 1 {
        return 1.0 / (1.0 - load);
    }
    // Σ λ^((dⁱ−d)/(d−1)): the exponents are 0, d, d + d², …
    let (mut sum, mut exponent, mut power) = (0.0, 0.0, f64::from(choices));
    loop {
        let term = load.powf(exponent);
        sum += term;
        if term < 1e-15 {
            return sum;
        }
        exponent += power;
        power *= f64::from(choices);
    }
}

/// The share of hosts that hold at least `n` requests: λ^((dⁿ−1)/(d−1)).
fn at_least(n: u32, choices: usize, load: f64) -> f64 {
    let d = choices as f64;
    let exponent = if choices == 1 { f64::from(n) } else { (d.powf(f64::from(n)) - 1.0) / (d - 1.0) };
    load.powf(exponent)
}

/// What is compared.
pub fn cases(length: Length) -> Vec<Case> {
    let full = length == Length::Full;
    let mut cases = Vec::new();
    for (workers, load) in [(1, 0.5), (1, 0.8), (1, 0.9), (2, 0.8), (5, 0.8), (5, 0.9), (20, 0.9)] {
        let name =
            if workers == 1 { format!("M/M/1, load {load}") } else { format!("M/M/{workers}, load {load}") };
        // The error of a mean grows with 1/(1 − load)²; so must the length.
        let requests: f64 = if full { 6e6 } else { 4e5 };
        cases.push(Case {
            name,
            hosts: 1,
            workers,
            choices: 1,
            load,
            expected: mmc(workers, load),
            tolerance: if full { 0.02 } else { 0.08 },
            length: requests / (load * f64::from(workers)),
        });
    }
    for load in [0.9, 0.99] {
        for choices in [1_u32, 2, 3] {
            if !full && (load > 0.9) {
                continue;
            }
            let (hosts, time) = match (full, choices, load > 0.9) {
                (true, 1, true) => (4_000, 6_000.0),
                (true, ..) => (2_000, 3_000.0),
                (false, ..) => (1_000, 600.0),
            };
            let tolerance = if full && load <= 0.9 { 0.02 } else { 0.05 };
            cases.push(Case {
                name: format!("supermarket, d = {choices}, load {load}"),
                hosts,
                workers: 1,
                choices: choices as usize,
                load,
                expected: supermarket(choices, load),
                tolerance,
                length: time,
            });
        }
    }
    cases
}

/// Runs them.
///
/// # Panics
///
/// If the simulator does, which is a mistake in it.
pub fn compare(
    cases: &[Case],
    seed: u64,
    threads: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Vec<Comparison> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Comparison>>> = Mutex::new(vec![None; cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let comparison = case.run(seed);
                    done.lock().expect("no thread panics in there")[index] = Some(comparison);
                    progress(&case.name);
                }
            });
        }
    });
    done.into_inner().expect("no thread panics in there").into_iter().flatten().collect()
}

impl Case {
    fn run(&self, seed: u64) -> Comparison {
        // Who holds how many requests at the start.
        let mut script = Vec::new();
        let mut draw = Draw::new(seed, 77, self.hosts as u64);
        if self.hosts > 1 {
            for host in 0..self.hosts {
                let unit = draw.unit();
                let held =
                    (1..1_000_000).take_while(|n| unit < at_least(*n, self.choices, self.load)).count();
                script.extend(std::iter::repeat_n(host as u32, held));
            }
        }
        let at_start = script.len();
        let duration = Span((self.length * WORK.0 as f64) as u64);
        let rate = self.load * self.hosts as f64 * f64::from(self.workers) / WORK.secs();
        let hosts = (0..self.hosts)
            .map(|index| Host::plain(index, Distribution::Exponential(WORK), Some(self.workers)))
            .collect();
        let config = ServiceConfig::builder().max_retries(0).build().expect("valid");
        // What comes at the very start has been there for a while already, and is not measured.
        let scenario = Scenario {
            duration,
            drain: Span(duration.0 * 10),
            warmup: if at_start > 0 { Span(1) } else { Span(duration.0 / 50) },
            clients: Clients::default(),
            ..Scenario::plain(&self.name, Arrivals::Poisson(rate), hosts, config)
        };
        let strategy: Arc<dyn Strategy<SimHost>> =
            Arc::new(Theory { choices: self.choices, script: script.into() });
        let record = engine::run_from(&scenario, &|_| Ok(Arc::clone(&strategy)), seed, at_start)
            .expect("this strategy is always built");
        Comparison {
            name: self.name.clone(),
            expected: self.expected,
            found: record.mean_latency() / WORK.secs(),
            tolerance: self.tolerance,
            requests: record.ok(),
        }
    }
}

/// Chooses as the theory assumes: the shortest of `choices` queues drawn with replacement. The first requests go where the
/// script says.
struct Theory {
    choices: usize,
    script: Arc<[u32]>,
}

struct TheoryPicker {
    set: MemberSet<SimHost>,
    choices: usize,
    script: Arc<[u32]>,
    /// Where each host is in the set.
    slots: Vec<Slot>,
    picked: AtomicUsize,
}

impl Strategy<SimHost> for Theory {
    fn picker(&self, set: &MemberSet<SimHost>, _: Option<&dyn Picker<SimHost>>) -> Box<dyn Picker<SimHost>> {
        let mut slots: Vec<_> = set.iter().map(|(slot, member)| (member.instance().index, slot)).collect();
        slots.sort_unstable();
        Box::new(TheoryPicker {
            set: set.clone(),
            choices: self.choices,
            script: Arc::clone(&self.script),
            slots: slots.into_iter().map(|(_, slot)| slot).collect(),
            picked: AtomicUsize::new(0),
        })
    }
}

impl Picker<SimHost> for TheoryPicker {
    fn pick(&self, candidates: &Candidates<'_, SimHost>) -> Option<Slot> {
        let scripted = self.script.get(self.picked.load(Ordering::Relaxed));
        if let Some(host) = scripted {
            self.picked.fetch_add(1, Ordering::Relaxed);
            return self.slots.get(*host as usize).copied();
        }
        let draw = || self.set.slot(candidates.random_below(self.set.len()));
        let load = |slot: &Slot| self.set.member(*slot).map_or(u64::MAX, |member| member.in_flight());
        let mut best = draw()?;
        for _ in 1..self.choices {
            let other = draw()?;
            if load(&other) < load(&best) {
                best = other;
            }
        }
        Some(best)
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_have_the_published_values() {
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 5e-4, "{found}, {expected}");
        for (choices, at_90, at_99) in [(1, 10.0, 100.0), (2, 2.614, 5.432), (3, 2.028, 3.858)] {
            close(supermarket(choices, 0.9), at_90);
            close(supermarket(choices, 0.99), at_99);
        }
        close(erlang_c(1, 0.8), 0.8);
        close(mmc(1, 0.9), 10.0);
        close(erlang_c(2, 0.8), 0.7111);
        close(erlang_c(5, 0.8), 0.5541);
    }
}
