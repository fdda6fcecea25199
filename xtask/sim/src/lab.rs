//! All scenarios with all strategies, on all processors: [`run_all`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::engine;
use crate::scenario::Scenario;
use crate::strategies::Entrant;
use crate::summary::Summary;

/// What came of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Result {
    /// The scenario's name.
    pub scenario: String,
    /// One line.
    pub title: String,
    /// What happens.
    pub about: String,
    /// How long requests arrived, in seconds.
    pub duration: f64,
    /// One per strategy; the best first.
    pub summaries: Vec<Summary>,
}

impl Result {
    /// What that strategy made of it.
    pub fn of(&self, label: &str) -> Option<&Summary> {
        self.summaries.iter().find(|summary| summary.strategy == label)
    }
}

/// Further runs of some scenarios, each with a seed of its own: the first `of(i)` of the seeds after `seed`, for the scenario
/// at `i`. Returns each scenario's results, in order of their seeds, after the one that it has in `first`.
pub fn run_again(
    scenarios: &[(Scenario, Vec<Entrant>)],
    first: &[Result],
    of: &dyn Fn(usize) -> u32,
    seed: u64,
    threads: usize,
    progress: &(dyn Fn(&str, &str) + Sync),
) -> std::result::Result<Vec<Vec<Result>>, String> {
    let mut all: Vec<_> = first.iter().map(|result| vec![result.clone()]).collect();
    for run in 1..(0..scenarios.len()).map(of).max().unwrap_or(0) {
        let again: Vec<_> = (0..scenarios.len()).filter(|place| of(*place) > run).collect();
        let chosen: Vec<_> = again.iter().map(|place| scenarios[*place].clone()).collect();
        let results = run_all(&chosen, seed.wrapping_add(u64::from(run)), threads, progress)?;
        again.into_iter().zip(results).for_each(|(place, result)| all[place].push(result));
    }
    Ok(all)
}

/// Runs every scenario with each of its entrants on so many threads. `progress` is told of each run that has ended. The
/// results depend on the seed alone.
///
/// # Panics
///
/// If the simulator does, which is a mistake in it.
pub fn run_all(
    scenarios: &[(Scenario, Vec<Entrant>)],
    seed: u64,
    threads: usize,
    progress: &(dyn Fn(&str, &str) + Sync),
) -> std::result::Result<Vec<Result>, String> {
    let jobs: Vec<_> = scenarios
        .iter()
        .enumerate()
        .flat_map(|(place, (scenario, entrants))| {
            entrants.iter().map(move |entrant| (place, scenario, entrant))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<std::result::Result<Summary, String>>>> =
        Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, scenario, entrant)) = jobs.get(job) else { break };
                    let result = engine::run(scenario, &|client| entrant.build(client), seed)
                        .map(|record| Summary::new(&entrant.label, scenario, record))
                        .map_err(|error| format!("{}, {}: {error}", scenario.name, entrant.label));
                    done.lock().expect("no thread panics in there")[job] = Some(result);
                    progress(&scenario.name, &entrant.label);
                }
            });
        }
    });
    let mut results: Vec<_> = scenarios
        .iter()
        .map(|(scenario, _)| Result {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            about: scenario.about.clone(),
            duration: scenario.duration.secs(),
            summaries: Vec::new(),
        })
        .collect();
    let done = done.into_inner().expect("no thread panics in there");
    for ((place, _, _), summary) in jobs.iter().zip(done) {
        results[*place].summaries.push(summary.expect("every job was run")?);
    }
    for result in &mut results {
        result.summaries.sort_by(Summary::cmp_rank);
    }
    Ok(results)
}
