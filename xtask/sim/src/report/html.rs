//! All results on one page that needs nothing else: a matrix for the eye, then each scenario with its table and plots.

use std::fmt::Write;

use super::plot::{Axis, Line, escaped, plot};
use super::table::{COLUMNS, rows};
use crate::lab::Result;
use crate::strategies::AUTO;
use crate::summary::{CURVE, Summary};

const STYLE: &str = include_str!("style.css");

/// Who has a colour in every plot. All others are grey, but for the best of them.
const COLOURS: [(&str, &str); 6] = [
    (AUTO, "c-auto"),
    ("peak_ewma", "c-ewma"),
    ("least_request", "c-least"),
    ("prequal", "c-prequal"),
    ("round_robin", "c-rr"),
    ("random", "c-random"),
];

/// A line, with gaps.
type Points = Vec<Option<(f64, f64)>>;

/// The page.
pub fn page(results: &[Result], seed: u64) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Strategies in the lab</title><style>{STYLE}</style><body><h1>Strategies in the lab</h1>\
         <p>Every strategy in every scenario, seed {seed}. Hosts and callers are simulated, the balancer is the real one. \
         Latencies are of calls that were answered.</p>"
    );
    page += &matrix(results);
    for result in results {
        page += &section(result);
    }
    page + "</body></html>\n"
}

fn anchor(name: &str) -> String {
    escaped(&name.replace('/', "--"))
}

/// Scenarios by strategies: how far each is behind the best.
fn matrix(results: &[Result]) -> String {
    let mut labels: Vec<&str> = vec![AUTO];
    for summary in results.iter().flat_map(|result| &result.summaries) {
        if !labels.contains(&&*summary.strategy) {
            labels.push(&summary.strategy);
        }
    }
    // Those who take part in most scenarios first; the order among equals is that of the ranks.
    let part = |label: &str| results.iter().filter(|result| result.of(label).is_some()).count();
    labels.retain(|label| part(label) > 0);
    labels.sort_by_key(|label| (*label != AUTO, std::cmp::Reverse(part(label)), *label));
    let mut html = String::from(
        "<h2>At a glance</h2><p>The 99th percentile of latency over that of the best strategy which answered as many calls \
         to a tenth of a point; or, where fewer calls were answered, by how many points fewer.</p>\
         <div class=\"wide\"><table class=\"matrix\"><tr><th></th>",
    );
    for label in &labels {
        let _ = write!(html, "<th class=\"up\"><span>{}</span></th>", escaped(label));
    }
    html += "</tr>";
    for result in results {
        let best = result.summaries.iter().map(|summary| summary.success).fold(0.0, f64::max);
        let as_many = result.summaries.iter().filter(|summary| summary.success >= best - 0.001);
        let soonest = as_many.map(|summary| summary.p99).fold(f64::MAX, f64::min);
        let _ = write!(
            html,
            "<tr><th class=\"name\"><a href=\"#{}\">{}</a></th>",
            anchor(&result.scenario),
            escaped(&result.scenario)
        );
        for label in &labels {
            html +=
                &result.of(label).map_or_else(|| "<td></td>".into(), |summary| cell(summary, best, soonest));
        }
        html += "</tr>";
    }
    html + "</table></div>"
}

fn cell(summary: &Summary, best: f64, soonest: f64) -> String {
    let behind = (best - summary.success) * 100.0;
    if behind > 0.1 {
        let class = if behind > 5.0 {
            "bad"
        } else if behind > 1.0 {
            "poor"
        } else {
            "fair"
        };
        let digits = usize::from(behind < 10.0);
        return format!("<td class=\"{class}\">−{behind:.digits$} pt</td>");
    }
    let ratio = summary.p99 / soonest;
    let class = match ratio {
        r if r <= 1.1 => "good",
        r if r <= 1.5 => "fair",
        r if r <= 3.0 => "poor",
        _ => "bad",
    };
    let digits = if ratio >= 10.0 { 0 } else { 2 };
    format!("<td class=\"{class}\">{ratio:.digits$}×</td>")
}

fn section(result: &Result) -> String {
    let mut html = format!(
        "<section id=\"{}\"><h2>{}</h2><p class=\"id\">{}</p><p>{}</p>",
        anchor(&result.scenario),
        escaped(&result.title),
        escaped(&result.scenario),
        escaped(&result.about)
    );
    let best = result.summaries.first().map(|summary| &*summary.strategy);
    let class = |label: &str| {
        let own = COLOURS.iter().find(|(name, _)| *name == label).map(|(_, class)| *class);
        own.unwrap_or(if Some(label) == best { "c-best" } else { "c-other" })
    };
    html += "<div class=\"legend\">";
    for summary in result.summaries.iter().filter(|summary| class(&summary.strategy) != "c-other") {
        let _ = write!(
            html,
            "<span><i class=\"{}\"></i>{}</span>",
            class(&summary.strategy),
            escaped(&summary.strategy)
        );
    }
    html += "<span><i class=\"c-other\"></i>others (point at a line)</span></div><div class=\"plots\">";
    html += &plots(result, &class);
    html += "</div><div class=\"wide\"><table><tr>";
    for column in COLUMNS {
        let _ = write!(html, "<th>{column}</th>");
    }
    html += "</tr>";
    for cells in rows(result) {
        let auto = if cells[0] == AUTO { " class=\"auto\"" } else { "" };
        let _ = write!(html, "<tr{auto}>");
        for cell in cells {
            let _ = write!(html, "<td>{}</td>", escaped(&cell));
        }
        html += "</tr>";
    }
    html + "</table></div></section>"
}

fn plots(result: &Result, class: &dyn Fn(&str) -> &'static str) -> String {
    // The greys first, `auto` last and on top.
    let mut order: Vec<&Summary> = result.summaries.iter().rev().collect();
    order.sort_by_key(|summary| match class(&summary.strategy) {
        "c-other" => 0,
        "c-auto" => 2,
        _ => 1,
    });
    let lines = |points: &dyn Fn(&Summary) -> Points| -> Vec<Line> {
        order
            .iter()
            .map(|summary| Line {
                label: summary.strategy.clone(),
                class: class(&summary.strategy),
                parts: points(summary)
                    .split(Option::is_none)
                    .filter(|part| !part.is_empty())
                    .map(|part| part.iter().copied().flatten().collect())
                    .collect(),
            })
            .collect()
    };
    let over_time = |values: &dyn Fn(&Summary) -> Vec<Option<f64>>| {
        lines(&|summary| {
            let width = summary.series.width;
            let points = values(summary).into_iter().enumerate();
            points.map(|(n, value)| value.map(|value| ((n as f64 + 0.5) * width, value))).collect()
        })
    };
    let time = || Axis::linear("time", result.duration, " s");
    let all =
        |values: &dyn Fn(&Summary) -> Vec<f64>| result.summaries.iter().flat_map(values).collect::<Vec<_>>();
    let some = |values: &[Option<f64>]| values.iter().copied().flatten().collect::<Vec<_>>();
    let latencies = Axis::log("latency, ms", all(&|summary| summary.curve.clone()).into_iter());
    let shares = Axis::tail("share of answers");
    let mut html = plot(
        "Latency",
        &latencies,
        &shares,
        &lines(&|summary| {
            CURVE.iter().zip(&summary.curve).map(|(share, ms)| (*ms > 0.0).then_some((*ms, *share))).collect()
        }),
    );
    let p99 = all(&|summary| some(&summary.series.p99));
    html += &plot(
        "99th percentile over time",
        &time(),
        &Axis::log("ms", p99.into_iter()),
        &over_time(&|summary| summary.series.p99.clone()),
    );
    let most = all(&|summary| summary.series.most.iter().map(|n| f64::from(*n)).collect());
    if most.iter().any(|most| *most > 0.0) {
        html += &plot(
            "Load of the busiest host over time",
            &time(),
            &Axis::log("requests, at work or waiting", most.into_iter()),
            &over_time(&|summary| {
                summary.series.most.iter().map(|n| (*n > 0).then_some(f64::from(*n))).collect()
            }),
        );
    }
    let failed = all(&|summary| some(&summary.series.success).iter().map(|ok| 1.0 - ok).collect());
    let worst = failed.into_iter().fold(0.0, f64::max);
    if worst > 0.0 {
        html += &plot(
            "Calls that failed, over time",
            &time(),
            &Axis::linear("of those that began then", worst * 100.0, " %"),
            &over_time(&|summary| {
                summary.series.success.iter().map(|share| share.map(|ok| (1.0 - ok) * 100.0)).collect()
            }),
        );
    }
    if result.summaries.iter().any(|summary| summary.bad_share.is_some()) {
        let bad = all(&|summary| some(&summary.series.bad_share)).into_iter().fold(0.0, f64::max);
        html += &plot(
            "Requests to hosts in trouble, over time",
            &time(),
            &Axis::linear("of all requests", bad * 100.0, " %"),
            &over_time(&|summary| {
                summary.series.bad_share.iter().map(|share| share.map(|bad| bad * 100.0)).collect()
            }),
        );
    }
    html
}
