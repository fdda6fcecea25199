//! Results for people and for programs: tables on the terminal, a page with plots, and JSON.

mod guide;
mod html;
mod plot;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use guide::guide;
pub use html::page;
pub use table::table;

use crate::lab::Result;

/// Writes `report.html`, `results.json` and `guide.svg` into the directory. Returns their paths.
pub fn write(directory: &Path, results: &[Result], seed: u64) -> io::Result<[PathBuf; 3]> {
    fs::create_dir_all(directory)?;
    let paths = ["report.html", "results.json", "guide.svg"].map(|name| directory.join(name));
    fs::write(&paths[0], page(results, seed))?;
    let json = serde_json::json!({ "seed": seed, "scenarios": results });
    fs::write(&paths[1], serde_json::to_string_pretty(&json)? + "\n")?;
    fs::write(&paths[2], guide(results, seed))?;
    Ok(paths)
}

/// A number of milliseconds, short.
pub(crate) fn ms(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{:.1} s", v / 1000.0),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A share in per cent, with as many digits as matter.
pub(crate) fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$}", share * 100.0)
}
