//! What quotas do to calls, with limits that are declared, and with limits that are learned from refusals.
//!
//! ```sh
//! cargo run --release --example quotas
//! ```

mod provider;
mod scenario;

use std::time::Duration;

use provider::Counting;
use scenario::{Figures, Scenario, Told, run};

fn mean(figures: &[Figures], f: impl Fn(&Figures) -> f64) -> (f64, f64) {
    let n = figures.len() as f64;
    let mean = figures.iter().map(&f).sum::<f64>() / n;
    let variance = figures.iter().map(|x| (f(x) - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10);
    let second = Counting::Bucket(Duration::from_secs(1));
    let quarter = Counting::Bucket(Duration::from_millis(250));
    let window = Counting::Window(Duration::from_secs(1));
    for (name, told, counting, load) in [
        ("declared", Told::Declared, second, 0.9),
        ("declared", Told::Declared, second, 1.5),
        ("Retry-After", Told::RetryAfter, second, 0.9),
        ("Retry-After", Told::RetryAfter, second, 1.5),
        ("no header", Told::Nothing, second, 0.9),
        ("no header", Told::Nothing, second, 1.5),
        ("declared 0.25", Told::Declared, quarter, 0.9),
        ("Retry-After 0.25", Told::RetryAfter, quarter, 0.9),
        ("no header 0.25", Told::Nothing, quarter, 0.9),
        ("no header 0.25", Told::Nothing, quarter, 1.5),
        ("whole seconds", Told::WholeSeconds, second, 0.9),
        ("whole seconds", Told::WholeSeconds, second, 1.5),
        ("hints", Told::Hints, second, 0.9),
        ("hints", Told::Hints, second, 1.5),
        ("window declared", Told::Declared, window, 0.9),
        ("window no header", Told::Nothing, window, 0.9),
        ("window no header", Told::Nothing, window, 1.5),
    ] {
        let scenario = Scenario { counting, ..Scenario::new(told, load) };
        let figures: Vec<_> = (0..seeds).map(|seed| run(&scenario, seed)).collect();
        let cell = |f: fn(&Figures) -> f64, scale: f64| {
            let (mean, ci) = mean(&figures, f);
            format!("{:.2} ± {:.2}", mean * scale, ci * scale)
        };
        println!(
            "{name:18} {load}: goodput {} failed {} attempts {} refused {} late {}",
            cell(|f| f.goodput, 100.0),
            cell(|f| f.failed, 100.0),
            cell(|f| f.attempts_per_success, 1.0),
            cell(|f| f.refused, 100.0),
            cell(|f| f.late, 100.0)
        );
    }
}
