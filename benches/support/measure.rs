//! Measures several things in turn, so that what disturbs the machine disturbs all of them.

use std::time::{Duration, Instant};

/// Something to measure: does it so many times.
pub(crate) struct Case<'a> {
    pub(crate) name: String,
    run: Box<dyn FnMut(u64) + 'a>,
}

/// What one time costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
}

impl<'a> Case<'a> {
    /// `run(n)` does it `n` times.
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut(u64) + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The time on the wall.
#[allow(clippy::disallowed_methods, reason = "measures real time")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// How long one turn of one case takes: long enough to come by each of 16,384 instances, short against what disturbs the
/// machine.
const TURN: Duration = Duration::from_millis(6);

/// Runs all cases in turn, `rounds` times, and takes of each the tenth part that was fastest: the rest is what other
/// programs did to it. Each turn begins with twice as much that is not measured, so that what the other cases have put
/// out of the cache is back.
pub(crate) fn measure(cases: &mut [Case<'_>], rounds: usize) -> Vec<Cost> {
    let counts: Vec<u64> = cases.iter_mut().map(calibrate).collect();
    let mut nanos: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); cases.len()];
    for _ in 0..rounds {
        for ((case, &count), nanos) in cases.iter_mut().zip(&counts).zip(&mut nanos) {
            (case.run)(2 * count);
            let start = clock();
            (case.run)(count);
            nanos.push((clock() - start).as_nanos() as f64 / count as f64);
        }
    }
    cases
        .iter_mut()
        .zip(&counts)
        .zip(nanos)
        .map(|((case, &count), mut nanos)| {
            nanos.sort_by(f64::total_cmp);
            let allocations = allocation_counter::measure(|| (case.run)(count)).count_total as f64;
            Cost { nanos: nanos[nanos.len() / 10], allocations: allocations / count as f64 }
        })
        .collect()
}

fn calibrate(case: &mut Case<'_>) -> u64 {
    let mut count = 1;
    loop {
        let start = clock();
        (case.run)(count);
        let took = clock() - start;
        if took >= TURN / 4 {
            return ((count as f64 * TURN.as_secs_f64() / took.as_secs_f64()) as u64).max(1);
        }
        count *= 2;
    }
}
