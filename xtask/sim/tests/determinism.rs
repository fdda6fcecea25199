//! The same seed gives the same bytes, whatever the number of threads.

use std::path::Path;

use lb_sim::scenario::{Scenario, Span, load};
use lb_sim::strategies::{Entrant, entrants};
use lb_sim::{lab, report};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");

fn brief(name: &str, duration: Span) -> Vec<(Scenario, Vec<Entrant>)> {
    let scenarios = load(Path::new(SCENARIOS), name).expect("valid");
    scenarios
        .into_iter()
        .map(|mut scenario| {
            scenario.duration = duration;
            let chosen = ["auto", "prequal", "random", "round_robin", "maglev"].map(str::to_owned);
            let entrants = entrants(&scenario, &chosen).expect("all can be built");
            (scenario, entrants)
        })
        .collect()
}

fn bytes(scenarios: &[(Scenario, Vec<Entrant>)], seed: u64, threads: usize) -> String {
    let results = lab::run_all(scenarios, seed, threads, &|_, _| ()).expect("all can be built");
    let tables: String = results.iter().map(report::table).collect();
    tables + &report::page(&results, seed) + &serde_json::to_string(&results).expect("plain data")
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_on_two() {
    let scenarios: Vec<_> = ["zone-outage", "llm-keys", "rolling-deployment"]
        .into_iter()
        .flat_map(|name| brief(name, Span::ms(12_000)))
        .collect();
    let first = bytes(&scenarios, 7, 1);
    assert!(first == bytes(&scenarios, 7, 1), "twice on one thread");
    assert!(first == bytes(&scenarios, 7, 2), "on two threads");
    assert!(first != bytes(&scenarios, 8, 2), "another seed is another run");
}
