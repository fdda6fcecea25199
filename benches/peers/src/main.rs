//! This balancer beside others, in one process and one run: `cargo run --release --manifest-path benches/peers/Cargo.toml`.
//!
//! Every request does nothing, so what is left is what the balancer costs. Building it needs cmake and a C++ compiler, which
//! one of the others wants.

#[path = "../../support/measure.rs"]
mod measure;
#[path = "../../support/table.rs"]
mod table;
mod ours;
mod pingora;
mod rust_zero;
mod tower_balance;

use measure::{Case, measure};

/// Numbers of instances.
const SIZES: [usize; 5] = [3, 16, 128, 1024, 16_384];

/// One way to make a request among `n` instances.
type Way<'a> = (&'static str, Box<dyn Fn(usize) -> Case<'a> + 'a>);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ways: Vec<Way<'_>> = ours::ways(&runtime)
        .into_iter()
        .chain(pingora::ways())
        .chain(rust_zero::ways())
        .chain(tower_balance::ways(&runtime))
        .collect();
    let mut rows = vec![Vec::new(); ways.len()];
    for n in SIZES {
        eprintln!("{n} instances");
        let mut cases: Vec<_> = ways.iter().map(|(_, make)| make(n)).collect();
        let costs = measure(&mut cases, 60);
        for (row, cost) in rows.iter_mut().zip(&costs) {
            row.push(*cost);
        }
    }
    let mut head = vec!["what".to_owned()];
    head.extend(SIZES.iter().map(|n| format!("{n}")));
    head.push("allocations".to_owned());
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let lines: Vec<_> = ways
        .iter()
        .zip(&rows)
        .map(|((name, _), costs)| {
            let mut line = vec![(*name).to_owned()];
            line.extend(costs.iter().map(|cost| table::ns(cost.nanos)));
            line.push(format!("{:.2}", costs[0].allocations));
            line
        })
        .collect();
    table::print("nanoseconds per request, by number of instances", &head, &lines);
    let of = |name: &str| ways.iter().position(|(other, _)| *other == name).map(|place| &rows[place]);
    let ratios: Vec<_> = RATIOS
        .iter()
        .filter_map(|(theirs, ours)| {
            let (them, us) = (of(theirs)?, of(ours)?);
            let mut line = vec![format!("{theirs} / {ours}")];
            line.extend(them.iter().zip(us).map(|(them, us)| table::times(them.nanos / us.nanos)));
            line.push(String::new());
            Some(line)
        })
        .collect();
    table::print("how many times as much the others cost", &head, &ratios);
}

/// What is compared with what.
const RATIOS: [(&str, &str); 11] = [
    (pingora::SELECT, ours::PICK),
    (pingora::SELECT, ours::ROUND_ROBIN),
    (rust_zero::P2C, ours::EWMA),
    (rust_zero::P2C, ours::EWMA_HANDLE),
    (rust_zero::P2C, ours::AUTO),
    (tower_balance::PENDING, ours::LEAST_REQUEST),
    (tower_balance::EWMA, ours::EWMA),
    (tower_balance::EWMA, ours::EWMA_HANDLE),
    (tower_balance::BUFFERED_EWMA, ours::EWMA),
    (tower_balance::BUFFERED_EWMA, ours::EWMA_HANDLE),
    (tower_balance::BUFFERED_EWMA, ours::AUTO),
];
