//! Who gets how much where all are alike.

use std::collections::BTreeMap;
use std::time::Duration;

use lb_core::RandomSource;

use crate::traffic::{SECOND, Traffic, by_load};

/// The entropy of the shares, where 1 is even.
fn entropy(counts: &BTreeMap<usize, usize>, n: usize) -> f64 {
    let total = counts.values().sum::<usize>() as f64;
    let parts = counts.values().map(|count| *count as f64 / total);
    -parts.map(|part| part * part.ln()).sum::<f64>() / (n as f64).ln()
}

#[test]
fn a_hundred_equal_hosts_are_loaded_evenly() {
    for (name, strategy) in by_load() {
        for rate in [100.0, 4000.0] {
            let mut traffic = Traffic::new(&strategy, 100, 11);
            let exponential = |random: &dyn RandomSource| -0.02 * (1.0 - random.unit()).ln();
            let lasts = Duration::from_secs_f64(40_000.0 / rate);
            let report = traffic
                .run(rate, lasts, None, |_, _, random| (Duration::from_secs_f64(exponential(random)), None));
            let mut counts = BTreeMap::new();
            report.0.iter().for_each(|request| *counts.entry(request.host).or_default() += 1);
            let entropy = entropy(&counts, 100);
            println!("{name}, {rate}/s: {entropy:.4}");
            assert!(entropy > 0.99, "{name}, {rate}/s: {entropy}");
        }
    }
}

/// Finagle's `LoadDistributionTest`: five clients with 150 requests each, ten servers, of which some leave and come.
#[test]
fn few_requests_of_several_clients_are_spread() {
    for (name, strategy) in by_load() {
        for change in ["none", "deploy", "shrink", "expand"] {
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for client in 0..5 {
                let mut traffic = Traffic::new(&strategy, 10, client);
                let hosts = match change {
                    "deploy" => 10..20,
                    "shrink" => 0..5,
                    "expand" => 0..20,
                    _ => 0..10,
                };
                let steady = |_: usize, _: Duration, random: &lb_core::SeededRandom| {
                    (Duration::from_secs_f64(0.004 + 0.002 * random.unit()), None)
                };
                traffic.run(100.0, SECOND / 2, None, steady);
                traffic.set_hosts(hosts);
                let report = traffic.run(100.0, 10 * SECOND, None, steady);
                report.0.iter().take(150).for_each(|request| *counts.entry(request.host).or_default() += 1);
            }
            let (total, most) = (counts.values().sum::<usize>(), counts.values().max().unwrap());
            let hosts = match change {
                "shrink" => 5,
                "expand" => 20,
                _ => 10,
            };
            let optimal = total.div_ceil(hosts);
            println!("{name}, {change}: {most} at most, {optimal} would be even");
            // Prequal follows the fastest of those that are not busy, and here nobody is.
            if !name.starts_with("prequal") {
                assert!(*most <= 2 * optimal, "{name}, {change}: {counts:?}");
            }
        }
    }
}
