//! What must come out: [`check`].

use crate::lab::Result;
use crate::scenario::Scenario;
use crate::strategies::AUTO;
use crate::summary::Summary;

/// How many points of success `auto` may be behind the best other strategy: a tenth of one.
const SUCCESS: f64 = 0.001;
/// How much larger its 99th percentile may be.
const P99: f64 = 1.1;

/// Whether something that must come out did.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The scenario.
    pub scenario: String,
    /// Whether it did.
    pub ok: bool,
    /// What was compared, with the numbers.
    pub what: String,
}

/// Holds results to what the scenarios expect, and `auto` to the best that any other strategy could do.
///
/// The best other success is that of whichever other strategy answered most. The best other 99th percentile is the
/// lowest among those that answered as many, to a tenth of a point: a strategy that fails what is slow has a fine
/// percentile of the rest.
pub fn check(scenario: &Scenario, result: &Result) -> Vec<Verdict> {
    let mut verdicts: Vec<_> = Vec::new();
    if scenario.compare {
        verdicts.extend(against_the_best(result));
    }
    for expect in &scenario.expect {
        for label in &expect.of {
            let Some(summary) = result.of(label) else { continue };
            verdicts.extend(held_to(expect, summary));
        }
    }
    for verdict in &mut verdicts {
        verdict.scenario.clone_from(&result.scenario);
    }
    verdicts
}

fn verdict(ok: bool, what: String) -> Verdict {
    Verdict { scenario: String::new(), ok, what }
}

fn against_the_best(result: &Result) -> Option<Verdict> {
    let auto = result.of(AUTO)?;
    let others = || result.summaries.iter().filter(|summary| summary.strategy != AUTO);
    let served = others().max_by(|a, b| a.success.total_cmp(&b.success))?;
    let as_many = others().filter(|other| other.success >= served.success - SUCCESS);
    let soonest = as_many.min_by(|a, b| a.p99.total_cmp(&b.p99))?;
    let ok = auto.success >= served.success - SUCCESS && auto.p99 <= soonest.p99 * P99;
    Some(verdict(
        ok,
        format!(
            "auto answers {:.3} % (best other: {:.3} %, {}) with p99 {:.1} ms (best other: {:.1} ms, {}; {:+.1} %)",
            auto.success * 100.0,
            served.success * 100.0,
            served.strategy,
            auto.p99,
            soonest.p99,
            soonest.strategy,
            (auto.p99 / soonest.p99 - 1.0) * 100.0,
        ),
    ))
}

fn held_to(expect: &crate::scenario::file::Expect, summary: &Summary) -> Vec<Verdict> {
    let name = &summary.strategy;
    let mut verdicts = Vec::new();
    if let Some(least) = expect.success_above {
        let what =
            format!("{name} answers {:.3} % (more than {:.3} %)", summary.success * 100.0, least * 100.0);
        verdicts.push(verdict(summary.success > least, what));
    }
    if let Some(most) = expect.bad_share_at_most {
        let share = summary.bad_share.unwrap_or(0.0);
        let what = format!(
            "{name} sends {:.2} % to hosts in trouble (at most {:.2} %)",
            share * 100.0,
            most * 100.0
        );
        verdicts.push(verdict(share <= most, what));
    }
    if let Some(most) = expect.p99_at_most {
        let what = format!("{name} has p99 {:.1} ms (at most {:.1} ms)", summary.p99, most.secs() * 1000.0);
        verdicts.push(verdict(summary.p99 <= most.secs() * 1000.0, what));
    }
    verdicts
}
