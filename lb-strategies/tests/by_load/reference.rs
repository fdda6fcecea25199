//! Cases of other balancers.

use std::sync::Arc;

use lb_core::Instance;
use lb_core::strategy::{Exclusions, Strategy};
use lb_core::testing::StrategyBench;
use lb_strategies::LeastRequest;

use crate::traffic::Traffic;

const PICKS: u64 = 20_000;

/// Shares in per cent of members of the given weights, while so many requests run on them.
fn shares(strategy: LeastRequest, weights: &[u32], running: &[usize]) -> Vec<f64> {
    let bench = StrategyBench::new(strategy, 3).with_weights(weights.iter().copied());
    let mut leases = Vec::new();
    for (i, running) in running.iter().enumerate() {
        let others = (0..weights.len()).filter(|other| *other != i).map(StrategyBench::id);
        let others = bench.exclusions(others);
        for _ in 0..*running {
            let request = lb_core::strategy::PickRequest::new(&others);
            leases.push(bench.pool().acquire(request, &bench.now(), bench.random()).unwrap());
        }
    }
    let counts = bench.shares(PICKS, &Exclusions::new());
    let count = |i| counts.get(StrategyBench::id(i).as_str()).copied().unwrap_or(0);
    (0..weights.len()).map(|i| 100.0 * count(i) as f64 / PICKS as f64).collect()
}

#[track_caller]
fn assert_shares(strategy: LeastRequest, weights: &[u32], running: &[usize], expected: &[f64]) {
    let shares = shares(strategy, weights, running);
    let close = shares.iter().zip(expected).all(|(share, expected)| {
        if *expected == 0.0 { *share == 0.0 } else { (share - expected).abs() < 1.5 }
    });
    assert!(close, "{shares:?}, expected {expected:?}");
}

/// Envoy's simulation of least-request, where it samples with replacement, has 11.1/44.45/44.45 and 25/75 for the first
/// two.
#[test]
fn who_is_busy_is_never_drawn_against_itself() {
    for strategy in [LeastRequest::new(), LeastRequest::new().scan_up_to(0)] {
        assert_shares(strategy, &[1, 1], &[1, 0], &[0.0, 100.0]);
    }
    assert_shares(LeastRequest::new(), &[1, 1, 1], &[1, 0, 0], &[0.0, 50.0, 50.0]);
    assert_shares(LeastRequest::new().scan_up_to(0), &[1, 1, 1], &[1, 0, 0], &[0.0, 50.0, 50.0]);
}

#[test]
fn the_weighted_cases_of_envoy() {
    assert_shares(LeastRequest::new(), &[2, 1], &[0, 0], &[66.7, 33.3]);
    assert_shares(LeastRequest::new(), &[2, 1], &[1, 0], &[50.0, 50.0]);
    assert_shares(LeastRequest::new().scan_up_to(0), &[2, 1], &[0, 0], &[66.7, 33.3]);
    assert_shares(LeastRequest::new().bias(0.0), &[2, 1], &[9, 0], &[66.7, 33.3]);
}

/// The cases of Finagle's P2C tests: a hundred hosts, 100,000 requests that do not end, and loads within a
/// ten-thousandth of those of the mean.
#[test]
fn the_cases_of_finagle() {
    const N: usize = 100;
    const R: usize = 100_000;
    const CLOSE: i64 = R as i64 / 10_000;
    let strategy: Arc<dyn Strategy<Instance>> = Arc::new(LeastRequest::new());
    let mut traffic = Traffic::new(&strategy, N, 12_345);
    let load =
        |traffic: &Traffic, host: usize| traffic.pool.member(&host.to_string()).unwrap().in_flight() as i64;
    let mut leases: Vec<_> = (0..R).map(|_| traffic.acquire()).collect();
    let even = (R / N) as i64;
    for host in 0..N {
        assert!((load(&traffic, host) - even).abs() <= CLOSE, "{host}: {}", load(&traffic, host));
    }
    // Who is new catches up.
    traffic.set_hosts(0..=N);
    leases.extend((0..R).map(|_| traffic.acquire()));
    let even = (2 * R / (N + 1)) as i64;
    for host in 0..N {
        assert!((load(&traffic, host) - even).abs() <= CLOSE, "{host}: {}", load(&traffic, host));
    }
    // It takes every request for which it is drawn, and is drawn for 1,980 of so many, with a deviation of 44.
    assert!((1_850..=2_110).contains(&load(&traffic, N)), "{}", load(&traffic, N));
    // Who is back, with what it had before it left, has as much as the others when it has been drawn a thousand times more:
    // for half as many requests again as it takes on average.
    traffic.set_hosts(1..=N);
    leases.extend((0..R).map(|_| traffic.acquire()));
    traffic.set_hosts(0..=N);
    leases.extend((0..R * 3 / 2).map(|_| traffic.acquire()));
    let even = (R * 9 / 2 / (N + 1)) as i64;
    for host in 0..=N {
        assert!((load(&traffic, host) - even).abs() <= CLOSE, "{host}: {} of {even}", load(&traffic, host));
    }
    drop(leases);
    assert!(traffic.counts(100 * N).values().all(|count| (50..150).contains(count)));
}
