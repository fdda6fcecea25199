//! A scenario's results as a table on the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{ms, percent};
use crate::lab::Result;

/// What the columns are called, here and on the page.
pub(super) const COLUMNS: [&str; 10] = [
    "strategy",
    "success %",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "p99.9 ms",
    "max queue",
    "bad %",
    "wasted %",
    "imbalance",
];

/// A scenario's results, the best strategy first.
pub fn table(result: &Result) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    for cells in rows(result) {
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}: {}\n{table}\n", result.scenario, result.title)
}

/// The cells of a scenario's table.
pub(super) fn rows(result: &Result) -> impl Iterator<Item = [String; COLUMNS.len()]> {
    result.summaries.iter().map(|summary| {
        [
            summary.strategy.clone(),
            percent(summary.success, 3),
            ms(summary.p50),
            ms(summary.p95),
            ms(summary.p99),
            ms(summary.p999),
            summary.max_queue.to_string(),
            summary.bad_share.map_or_else(|| "–".into(), |share| percent(share, 2)),
            percent(summary.wasted, 2),
            format!("{:.2}", summary.imbalance),
        ]
    })
}
