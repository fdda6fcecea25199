//! What quotas do to calls: with limits that are declared, that providers hint at, and that are learned from refusals.
//! Eight keys, simulated with the real balancer under virtual time; see `scenario.rs`.
//!
//! ```sh
//! cargo run --release --example quotas            # ten seeds
//! cargo run --release --example quotas -- 100
//! ```

mod provider;
mod scenario;
mod statistics;

use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Table, presets};
use loadbalance::strategy::LeastUsed;
use provider::Counting;
use scenario::{Figures, Scenario, Told, run};
use statistics::Mean;

const SECOND: Counting = Counting::Bucket(Duration::from_secs(1));
const QUARTER: Counting = Counting::Bucket(Duration::from_millis(250));
const WINDOW: Counting = Counting::Window(Duration::from_secs(1));

const ROWS: [(&str, Told, Counting); 10] = [
    ("declared", Told::Declared, SECOND),
    ("learned, Retry-After in ms", Told::RetryAfter, SECOND),
    ("learned, no header", Told::Nothing, SECOND),
    ("learned, Retry-After in whole seconds", Told::WholeSeconds, SECOND),
    ("hints", Told::Hints, SECOND),
    ("declared, 0.25 s bucket", Told::Declared, QUARTER),
    ("learned, Retry-After in ms, 0.25 s bucket", Told::RetryAfter, QUARTER),
    ("learned, no header, 0.25 s bucket", Told::Nothing, QUARTER),
    ("declared, windows of 1 s", Told::Declared, WINDOW),
    ("learned, no header, windows of 1 s", Told::Nothing, WINDOW),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let smoke = args.iter().any(|arg| arg == "--smoke");
    let seeds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(if smoke { 1 } else { 10 });
    let rows = if smoke { &ROWS[..3] } else { &ROWS[..] };
    table("round robin (the default)", rows, seeds, |_| {});
    table("least used", rows, seeds, |scenario| scenario.strategy = Arc::new(LeastUsed::new()));
    if !smoke {
        let late = |scenario: &mut Scenario| scenario.refusal = Duration::from_millis(50);
        table("round robin, refusals take 50 ms", rows, seeds, late);
    }
}

fn table(title: &str, rows: &[(&str, Told, Counting)], seeds: u64, change: impl Fn(&mut Scenario)) {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header([
        title,
        "at 90 %: failed",
        "attempts per success",
        "refused",
        "at 150 %: goodput",
        "attempts per success",
        "late",
    ]);
    for (name, told, counting) in rows {
        let figures = |load| {
            let mut scenario = Scenario { counting: *counting, ..Scenario::new(*told, load) };
            change(&mut scenario);
            (0..seeds).map(|seed| run(&scenario, seed)).collect::<Vec<Figures>>()
        };
        let (normal, overload) = (figures(0.9), figures(1.5));
        table.add_row([
            (*name).to_owned(),
            percent(&normal, |f| f.failed),
            ratio(&normal),
            percent(&normal, |f| f.refused),
            percent(&overload, |f| f.goodput),
            ratio(&overload),
            percent(&overload, |f| f.late),
        ]);
    }
    println!("\n{table}");
}

fn percent(figures: &[Figures], f: impl Fn(&Figures) -> f64) -> String {
    let Mean { mean, interval } = Mean::of(figures, f);
    format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * interval)
}

fn ratio(figures: &[Figures]) -> String {
    let Mean { mean, interval } = Mean::of(figures, |f| f.attempts_per_success);
    format!("{mean:.3} ± {interval:.3}")
}
