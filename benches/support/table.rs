//! Tables for people.

/// Prints rows under a head, each column as wide as it needs to be; the first is text, the others are figures.
pub(crate) fn print(title: &str, head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ")
    };
    println!("\n{title}\n");
    println!("{}", line(&mut head.iter().copied()));
    println!("{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    for row in rows {
        println!("{}", line(&mut row.iter().map(String::as_str)).trim_end());
    }
}

/// Nanoseconds.
pub(crate) fn ns(nanos: f64) -> String {
    format!("{nanos:.1}")
}

/// How many times as much.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2} x")
}
