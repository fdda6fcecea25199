//! What must come out: [`check`].

use crate::interval::Interval;
use crate::lab::Result;
use crate::scenario::Scenario;
use crate::scenario::file::Expect;
use crate::strategies::{AUTO, Entrant};
use crate::summary::Summary;

/// How many points of success `auto` may be behind the best other strategy: a tenth of one.
const SUCCESS: f64 = 0.001;
/// How much larger its 99th percentile may be.
const P99: f64 = 1.1;

/// What is known of something that must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Holds,
    /// The 95 % interval lies on both sides of the limit: more runs would tell.
    Unclear,
    /// It does not.
    Fails,
}

impl Outcome {
    /// At the beginning of a line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "ok     ",
            Self::Unclear => "unclear",
            Self::Fails => "FAILED ",
        }
    }

    fn of(sure: Option<bool>) -> Self {
        match sure {
            Some(true) => Self::Holds,
            None => Self::Unclear,
            Some(false) => Self::Fails,
        }
    }
}

/// Something that must come out, and what did.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The scenario.
    pub scenario: String,
    /// Whether it did.
    pub outcome: Outcome,
    /// What was compared, with the numbers.
    pub what: String,
}

/// Holds the results of some runs of a scenario, each with a seed of its own, to what the scenario expects, and `auto` to
/// the best that any other strategy could do.
///
/// The best other success is that of whichever other strategy answered most, on average. The best other 99th percentile
/// is the lowest (by its geometric mean) among those that answered as many, to a tenth of a point: a strategy that fails
/// what is slow has a fine percentile of the rest. In each run all strategies face the same requests, so `auto` is compared
/// with the best one run by run; of the differences of success, and of the ratios of percentiles, the 95 % interval is
/// taken ([`Interval`]). `auto` holds if all of the interval is within the limit, and fails if none of it is. One run
/// has no interval, and its numbers are compared as they are.
///
/// The first run must have everybody; those who take no part in all others are not compared.
pub fn check(scenario: &Scenario, runs: &[&Result]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if scenario.compare {
        verdicts.extend(against_the_best(runs));
    }
    for expect in &scenario.expect {
        for label in &expect.of {
            verdicts.extend(held_to(expect, &of(runs, label)));
        }
    }
    for verdict in &mut verdicts {
        verdict.scenario.clone_from(&scenario.name);
    }
    verdicts
}

/// Those who may be the best of a scenario, by what came out of its first run, with `auto` and those of whom something is
/// expected: they are worth further runs. Out of it is who answered a quarter of a point less than the best other, or took a third as
/// long again as the soonest of those that answered as many (unless it answered more than `auto`).
pub fn contenders(scenario: &Scenario, entrants: &[Entrant], first: &Result) -> Vec<Entrant> {
    const LESS: f64 = 0.0025;
    const LATER: f64 = 1.35;
    let others = || first.summaries.iter().filter(|summary| summary.strategy != AUTO);
    let most = others().map(|other| other.success).fold(0.0, f64::max);
    let soonest = others().filter(|other| other.success >= most - SUCCESS).map(|other| other.p99);
    let soonest = soonest.fold(f64::INFINITY, f64::min);
    let auto = first.of(AUTO).map_or(0.0, |auto| auto.success);
    let is_in = |entrant: &&Entrant| {
        let label = &entrant.label;
        let expected = scenario.expect.iter().any(|expect| expect.of.contains(label));
        let close = first.of(label).is_some_and(|it| {
            it.success >= most - LESS && (it.p99 <= soonest * LATER || it.success > auto + SUCCESS / 2.0)
        });
        expected || scenario.compare && (label == AUTO || close)
    };
    entrants.iter().filter(is_in).cloned().collect()
}

/// What that strategy made of each run; nothing if it was not in all.
fn of<'a>(runs: &[&'a Result], label: &str) -> Vec<&'a Summary> {
    runs.iter().map(|run| run.of(label)).collect::<Option<_>>().unwrap_or_default()
}

fn mean(summaries: &[&Summary], value: impl Fn(&Summary) -> f64) -> f64 {
    summaries.iter().map(|summary| value(summary)).sum::<f64>() / summaries.len() as f64
}

/// Whether the mean is at most the limit; of a single measurement, whether it is itself.
fn at_most(samples: &[f64], limit: f64) -> Outcome {
    match samples {
        [one] => Outcome::of(Some(*one <= limit)),
        _ => Outcome::of(Interval::of(samples).is_at_most(limit)),
    }
}

fn against_the_best(runs: &[&Result]) -> Vec<Verdict> {
    let auto = of(runs, AUTO);
    let labels = runs.first().map(|run| run.summaries.iter().map(|summary| &summary.strategy));
    let others: Vec<_> = labels
        .into_iter()
        .flatten()
        .filter(|label| *label != AUTO)
        .map(|label| of(runs, label))
        .filter(|summaries| !summaries.is_empty())
        .collect();
    let success = |summaries: &[&Summary]| mean(summaries, |summary| summary.success);
    let p99 = |summaries: &[&Summary]| mean(summaries, |summary| summary.p99.ln()).exp();
    let Some(served) = others.iter().max_by(|a, b| success(a).total_cmp(&success(b))) else {
        return Vec::new();
    };
    if auto.is_empty() {
        return Vec::new();
    }
    let as_many = others.iter().filter(|other| success(other) >= success(served) - SUCCESS);
    let soonest = as_many.min_by(|a, b| p99(a).total_cmp(&p99(b))).unwrap_or(served);

    let pairs = |other: &[&Summary], value: &dyn Fn(&Summary, &Summary) -> f64| -> Vec<f64> {
        auto.iter().zip(other).map(|(auto, other)| value(auto, other)).collect()
    };
    let behind = pairs(served, &|auto, other| other.success - auto.success);
    let later = pairs(soonest, &|auto, other| (auto.p99 / other.p99).ln());
    let points = Interval::of(&behind);
    let ratio = Interval::of(&later);
    let per_cent = |log: f64| (log.exp() - 1.0) * 100.0;
    let known = |text: String| if runs.len() > 1 { text } else { String::new() };
    vec![
        verdict(
            at_most(&behind, SUCCESS),
            format!(
                "auto answers {:.3} % (best other: {:.3} %, {}): {:+.3} points{}",
                success(&auto) * 100.0,
                success(served) * 100.0,
                served[0].strategy,
                -points.mean * 100.0,
                known(format!(
                    " ({:+.3} to {:+.3} in {} runs)",
                    -(points.mean + points.reach) * 100.0,
                    -(points.mean - points.reach) * 100.0,
                    runs.len()
                )),
            ),
        ),
        verdict(
            at_most(&later, P99.ln()),
            format!(
                "auto has p99 {:.1} ms (best other: {:.1} ms, {}): {:+.1} %{}",
                p99(&auto),
                p99(soonest),
                soonest[0].strategy,
                per_cent(ratio.mean),
                known(format!(
                    " ({:+.1} to {:+.1} in {} runs)",
                    per_cent(ratio.mean - ratio.reach),
                    per_cent(ratio.mean + ratio.reach),
                    runs.len()
                )),
            ),
        ),
    ]
}

fn verdict(outcome: Outcome, what: String) -> Verdict {
    Verdict { scenario: String::new(), outcome, what }
}

/// In every run: the worst one counts.
fn held_to(expect: &Expect, summaries: &[&Summary]) -> Vec<Verdict> {
    let Some(first) = summaries.first() else { return Vec::new() };
    let (name, runs) = (&first.strategy, summaries.len());
    let of_runs = if runs > 1 { format!(" in the worst of {runs} runs") } else { String::new() };
    let most = |value: &dyn Fn(&Summary) -> f64| {
        summaries.iter().map(|it| value(it)).fold(f64::NEG_INFINITY, f64::max)
    };
    let mut verdicts = Vec::new();
    if let Some(least) = expect.success_above {
        let success = -most(&|summary| -summary.success);
        let what =
            format!("{name} answers {:.3} %{of_runs} (more than {:.3} %)", success * 100.0, least * 100.0);
        verdicts.push(verdict(Outcome::of(Some(success > least)), what));
    }
    if let Some(limit) = expect.bad_share_at_most {
        let share = most(&|summary| summary.bad_share.unwrap_or(0.0));
        let what = format!(
            "{name} sends {:.2} % to hosts in trouble{of_runs} (at most {:.2} %)",
            share * 100.0,
            limit * 100.0
        );
        verdicts.push(verdict(Outcome::of(Some(share <= limit)), what));
    }
    if let Some(limit) = expect.p99_at_most {
        let (p99, limit) = (most(&|summary| summary.p99), limit.secs() * 1000.0);
        let what = format!("{name} has p99 {p99:.1} ms{of_runs} (at most {limit:.1} ms)");
        verdicts.push(verdict(Outcome::of(Some(p99 <= limit)), what));
    }
    verdicts
}
