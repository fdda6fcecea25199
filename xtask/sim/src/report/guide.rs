//! The decision guide as a plot: how far each strategy is from the best one, in each scenario.

use std::fmt::Write;

use crate::lab::Result;
use crate::summary::Summary;

const LEFT: usize = 132;
const TOP: usize = 128;
const WIDE: usize = 52;
const HIGH: usize = 24;
/// Below the cells, for the legend.
const BOTTOM: usize = 62;

/// Success that differs by no more is the same.
const SAME: f64 = 0.001;

/// A cell: what is written in it, and how bad that is, from 0 (as good as the best) to 1.
fn cell(summary: &Summary, most: f64, least: f64) -> (String, f64) {
    let lost = most - summary.success;
    if lost > SAME {
        return (format!("−{:.1}%", lost * 100.0), (0.6 + lost * 4.0).min(1.0));
    }
    let times = summary.p99 / least.max(1e-9);
    let text = if times < 9.95 { format!("{times:.1}×") } else { format!("{times:.0}×") };
    // Twice the best is a third of the way, eight times all of it.
    (text, (times.max(1.0).log2() / 3.0).min(1.0) * 0.9)
}

/// The best success, and the lowest 99th percentile of those that have it.
fn best(result: &Result) -> (f64, f64) {
    let most = result.summaries.iter().map(|summary| summary.success).fold(0.0, f64::max);
    let as_good = result.summaries.iter().filter(|summary| most - summary.success <= SAME);
    (most, as_good.map(|summary| summary.p99).fold(f64::INFINITY, f64::min))
}

/// From pale green over yellow to red.
fn colour(bad: f64) -> String {
    let between = |from: [f64; 3], to: [f64; 3], at: f64| {
        let part = |i: usize| (from[i] + (to[i] - from[i]) * at).round() as u8;
        format!("#{:02x}{:02x}{:02x}", part(0), part(1), part(2))
    };
    let (good, middling, awful) = ([198.0, 230.0, 201.0], [255.0, 236.0, 179.0], [229.0, 115.0, 115.0]);
    if bad < 0.4 { between(good, middling, bad / 0.4) } else { between(middling, awful, (bad - 0.4) / 0.6) }
}

/// A plot with a row per strategy and a column per scenario (those that are no variant of another, and in which more than
/// one takes part). Rows are sorted: the best on the whole first.
pub fn guide(results: &[Result], seed: u64) -> String {
    let columns: Vec<_> =
        results.iter().filter(|r| !r.scenario.contains('/') && r.summaries.len() > 1).collect();
    let mut rows: Vec<(&str, f64)> = Vec::new();
    for name in lb_strategies::BuiltInStrategies::names() {
        let bad = |result: &&Result| {
            let (most, least) = best(result);
            Some(cell(result.of(name)?, most, least).1)
        };
        let found: Vec<f64> = columns.iter().filter_map(bad).collect();
        // Those that only some scenarios add cannot be compared.
        if 2 * found.len() > columns.len() {
            rows.push((name, found.iter().sum::<f64>() / found.len() as f64));
        }
    }
    rows.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(b.0)));

    let (width, height) = (LEFT + WIDE * columns.len() + 50, TOP + HIGH * rows.len() + BOTTOM);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    for (i, result) in columns.iter().enumerate() {
        let (x, y) = (LEFT + WIDE * i + WIDE / 2 + 4, TOP - 8);
        let name = &result.scenario;
        let _ = writeln!(svg, "<text transform=\"translate({x} {y}) rotate(-50)\">{name}</text>");
    }
    for (row, (name, _)) in rows.iter().enumerate() {
        let y = TOP + HIGH * row;
        let bold = if *name == crate::strategies::AUTO { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\"{bold}>{name}</text>",
            LEFT - 8,
            y + 16
        );
        for (i, result) in columns.iter().enumerate() {
            let Some(summary) = result.of(name) else { continue };
            let (most, least) = best(result);
            let (text, bad) = cell(summary, most, least);
            let x = LEFT + WIDE * i;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\">{text}</text>",
                WIDE - 2,
                HIGH - 2,
                colour(bad),
                x + WIDE / 2 - 1,
                y + 15
            );
        }
    }
    let y = TOP + HIGH * rows.len() + 22;
    let lines = [
        "1.0×: the lowest 99th percentile of those that answer as many calls as the best; 2.0×: twice that."
            .to_owned(),
        format!(
            "−5.0%: five calls in a hundred fewer answered than by the best. cargo xtask sim, seed {seed}."
        ),
    ];
    for (i, line) in lines.iter().enumerate() {
        let _ =
            writeln!(svg, "<text x=\"12\" y=\"{}\" font-size=\"11\" fill=\"#555\">{line}</text>", y + 16 * i);
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab;
    use crate::scenario::load;
    use crate::strategies::entrants;
    use std::path::Path;

    #[test]
    fn the_best_is_green_and_who_loses_calls_says_how_many() {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
        let mut scenario = load(directory, "black-hole").expect("it is there").swap_remove(0);
        scenario = scenario.quick();
        let chosen = ["auto".to_owned(), "least_request".to_owned(), "round_robin".to_owned()];
        let all = entrants(&scenario, &chosen).expect("they exist");
        let results = lab::run_all(&[(scenario, all)], 1, 1, &|_, _| ()).expect("it runs");
        let svg = guide(&results, 1);
        assert!(svg.contains(">auto</text>") && svg.contains("black-hole"), "{svg}");
        assert!(svg.contains("−") && svg.contains("1.0×"), "{svg}");
        assert_eq!((svg.matches("<svg").count(), svg.matches("</svg>").count()), (1, 1));
    }

    #[test]
    fn colours_go_from_green_to_red() {
        assert_eq!([colour(0.0), colour(0.4), colour(1.0)], ["#c6e6c9", "#ffecb3", "#e57373"]);
    }
}
