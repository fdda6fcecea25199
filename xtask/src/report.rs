//! What a run says at its end.

use std::fmt::Write as _;
use std::time::Duration;

use crate::step::StepFailure;

#[derive(Debug)]
pub(crate) struct StepResult {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) failures: Vec<StepFailure>,
}

impl StepResult {
    pub(crate) fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// The table of all steps, then what failed and how to repeat it.
pub(crate) fn summary(results: &[StepResult], skipped: &[String]) -> String {
    let names = results.iter().map(|result| &result.name).chain(skipped);
    let width = names.map(String::len).max().unwrap_or(0);
    let mut out = String::from("\n");
    let mut line = |name: &str, verdict: &str, took: &str| {
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "{name:<width$}  {verdict:<7} {took:>12}");
    };
    for result in results {
        line(&result.name, if result.passed() { "ok" } else { "FAILED" }, &human(result.took));
    }
    for name in skipped {
        line(name, "skipped", "");
    }
    let failed: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
    let total = human(results.iter().map(|result| result.took).sum());
    if failed.is_empty() {
        let _ = writeln!(out, "\nall {} steps passed in {total}", results.len());
        return out;
    }
    let _ = writeln!(out, "\n{} of {} steps failed in {total}:", failed.len(), results.len());
    for result in failed {
        for failure in &result.failures {
            let _ = writeln!(out, "  {}: {failure}", result.name);
        }
    }
    out
}

/// A duration as a person reads it.
pub(crate) fn human(took: Duration) -> String {
    match took.as_secs() {
        0..60 => format!("{:.1} s", took.as_secs_f64()),
        secs => format!("{} min {:02} s", secs / 60, secs % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, problem: Option<&str>) -> StepResult {
        let failures = problem
            .map(|problem| StepFailure::Check { step: name.to_owned(), problem: problem.to_owned() })
            .into_iter()
            .collect();
        StepResult { name: name.to_owned(), took: Duration::from_millis(61_400), failures }
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(human(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(human(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn success_is_a_table_and_a_total() {
        let text = summary(&[result("fmt", None), result("clippy", None)], &["test".to_owned()]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1], "fmt     ok        1 min 01 s");
        assert_eq!(lines[3], "test    skipped");
        assert_eq!(lines[5], "all 2 steps passed in 2 min 02 s");
    }

    #[test]
    fn a_failure_says_how_to_repeat_it() {
        let text = summary(&[result("fmt", None), result("msrv", Some("`x` is too new"))], &[]);
        assert!(text.contains("1 of 2 steps failed"), "{text}");
        assert!(text.ends_with("  msrv: `x` is too new; by hand: cargo xtask ci --only msrv\n"), "{text}");
    }
}
