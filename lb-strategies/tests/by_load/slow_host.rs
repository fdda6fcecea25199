//! Eleven hosts, of which one is slow for half a minute: the scenario of Finagle's benchmark (`Simulation.scala`), with
//! latencies drawn from a distribution that has its quantiles (half below 167 ms, 1 % above 192 ms).

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use lb_core::strategy::Strategy;
use lb_core::{Instance, RandomSource, SeededRandom};
use lb_strategies::{Auto, LeastRequest, PeakEwma, Prequal, RoundRobin};

use crate::traffic::{Answer, SECOND, Traffic};

fn answer(host: usize, at: Duration, random: &SeededRandom) -> Answer {
    if host == 0 && (15 * SECOND..45 * SECOND).contains(&at) {
        return (2 * SECOND, None);
    }
    let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (TAU * random.unit()).cos();
    (Duration::from_secs_f64(0.167 * (normal * 0.06).exp()), None)
}

/// Per cent of the requests that take no longer than a second, without retries; the worst of some seeds.
fn success(name: &str, strategy: impl Strategy<Instance>, timeout: Option<Duration>) -> f64 {
    let strategy: Arc<dyn Strategy<Instance>> = Arc::new(strategy);
    let of =
        |seed| Traffic::new(&strategy, 11, seed).run(1000.0, 60 * SECOND, timeout, answer).within(SECOND);
    let worst = (0..3).map(of).fold(1.0, f64::min);
    println!("{name}, timeout {timeout:?}: {:.3} %", 100.0 * worst);
    100.0 * worst
}

#[test]
fn nearly_all_requests_are_served_in_time() {
    for timeout in [None, Some(SECOND)] {
        assert!(success("auto", Auto::new(), timeout) > 99.92);
        assert!(success("auto by choices", Auto::new().scan_up_to(0), timeout) > 99.92);
        assert!(success("peak_ewma", PeakEwma::new(), timeout) > 99.92);
        assert!(success("peak_ewma by choices", PeakEwma::new().scan_up_to(0), timeout) > 99.92);
        assert!(success("prequal", Prequal::new(), timeout) > 99.85);
        assert!(success("least_request", LeastRequest::new(), timeout) > 99.5);
        assert!(success("round_robin", RoundRobin::new(), timeout) < 96.0, "the scenario is no test");
    }
}
