//! The tables at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use loadbalance::FailureKind as Kind;

use crate::tally::{Latencies, Tally};

/// What each vendor was asked and answered.
pub(crate) fn vendors(tally: &Tally, order: &[&str], rests: &BTreeMap<Arc<str>, Duration>) -> Table {
    let header = [
        "vendor", "requests", "share", "ok", "429", "5xx", "timeout", "unusable", "other", "p50", "p99",
        "at rest",
    ];
    let mut table = table(&header);
    for id in order {
        let Some(vendor) = tally.vendors.get(*id) else { continue };
        let counted = [Kind::LimitExceeded, Kind::Service, Kind::Timeout, Kind::Unusable];
        let counts = counted.map(|kind| vendor.failed(kind));
        let other = vendor.calls - vendor.answered.len() - counts.iter().sum::<usize>();
        let mut row = vec![(*id).to_owned(), vendor.calls.to_string()];
        row.push(format!("{:.1} %", 100.0 * vendor.calls as f64 / tally.calls as f64));
        row.push(vendor.answered.len().to_string());
        row.extend(
            counts.iter().chain([&other]).map(|n| if *n == 0 { "-".to_owned() } else { n.to_string() }),
        );
        row.extend(percentiles(&vendor.answered));
        row.push(rests.get(*id).map_or("-".into(), |rest| format!("{:.1} s", rest.as_secs_f64())));
        table.add_row(row);
    }
    table
}

/// The ways to send, side by side.
pub(crate) fn ways(ways: &[(&str, &Tally)]) -> Table {
    let mut table =
        table(&["", "success", "lost", "calls to vendors", "wasted calls per success", "p50", "p99"]);
    for (name, tally) in ways {
        let wasted = tally.wasted_per_success().map_or("-".into(), |wasted| format!("{wasted:.2}"));
        let mut row = vec![(*name).to_owned(), percent(tally.success_rate()), tally.lost().to_string()];
        row.extend([tally.calls.to_string(), wasted]);
        row.extend(percentiles(&tally.answered));
        table.add_row(row);
    }
    table
}

/// Why requests were lost, on standard error.
pub(crate) fn losses(tally: &Tally) {
    tally.losses.iter().for_each(|loss| eprintln!("not answered: {loss}"));
    match tally.lost() - tally.losses.len() {
        0 => {}
        more => eprintln!("not answered: {more} more; with --out FILE each is there with its reason"),
    }
}

/// Rounded down, so that 100 % means all.
pub(crate) fn percent(rate: f64) -> String {
    format!("{:.2} %", (rate * 10_000.0).floor() / 100.0)
}

fn percentiles(latencies: &Latencies) -> [String; 2] {
    [0.5, 0.99].map(|q| latencies.percentile(q).map_or("-".into(), |d| format!("{} ms", d.as_millis())))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
