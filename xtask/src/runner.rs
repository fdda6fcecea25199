//! Running steps one after the other, saying which and how long.

use std::time::Instant;

use crate::report::{StepResult, human};
use crate::step::Step;

/// Runs every step, whichever fails before it.
// The clock on the wall is what is reported here; the ban on it is for code that decides.
#[expect(clippy::disallowed_methods, reason = "measures real time for a person to read")]
pub(crate) fn run(steps: Vec<Step>) -> Vec<StepResult> {
    let count = steps.len();
    let mut results = Vec::with_capacity(count);
    for (i, step) in steps.into_iter().enumerate() {
        let name = step.name().to_owned();
        println!("\n== step {}/{count}: {name}", i + 1);
        let started = Instant::now();
        let failures = step.run();
        let took = started.elapsed();
        let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
        println!("== step {}/{count}: {name}: {verdict} in {}", i + 1, human(took));
        results.push(StepResult { name, took, failures });
    }
    results
}
