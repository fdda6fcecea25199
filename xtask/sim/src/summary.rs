//! A run in numbers: [`Summary`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{BUCKETS, End, Record};
use crate::scenario::Scenario;

/// The shares of calls for which [`Summary::curve`] has the latency.
pub const CURVE: [f64; 26] = [
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98,
    0.985, 0.99, 0.993, 0.995, 0.998, 0.999, 0.9999,
];

/// What one strategy made of one scenario. Latencies are in milliseconds and of calls that were answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The strategy.
    pub strategy: String,
    /// Calls.
    pub calls: u64,
    /// The share of them that were answered.
    pub success: f64,
    /// Calls by how they ended.
    pub ends: BTreeMap<&'static str, u64>,
    /// The mean latency.
    pub mean: f64,
    /// Half of the calls were answered within this.
    pub p50: f64,
    /// 95 % were.
    pub p95: f64,
    /// 99 % were.
    pub p99: f64,
    /// 99.9 % were.
    pub p999: f64,
    /// The most requests that one host held at a time, at work or waiting.
    pub max_queue: u32,
    /// The share of attempts that went to a host in trouble, while there was one.
    pub bad_share: Option<f64>,
    /// Attempts per call that did not become its answer.
    pub wasted: f64,
    /// Requests of the host that got most, over the mean; each host by its weight.
    pub imbalance: f64,
    /// The fewest and the most clients that used one host.
    pub users: (u32, u32),
    /// Latency by share of calls: see [`CURVE`].
    pub curve: Vec<f64>,
    /// By part of the run.
    pub series: Series,
    /// Picks that were made.
    pub picks: u64,
    /// Events that were worked through.
    pub events: u64,
}

/// Numbers by part of the run, in order of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// The length of a part, in seconds.
    pub width: f64,
    /// The 99th percentile of latency of calls that began then.
    pub p99: Vec<Option<f64>>,
    /// The share of calls that began then and were answered.
    pub success: Vec<Option<f64>>,
    /// The most requests that one host held at a time.
    pub most: Vec<u32>,
    /// Attempts a second.
    pub attempts: Vec<f64>,
    /// The share of attempts that went to a host in trouble.
    pub bad_share: Vec<Option<f64>>,
}

/// So many digits are kept, and no more than were measured.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64, 6))
}

/// The latency, in milliseconds, within which that share of the calls was answered. Of sorted ones.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    let rank = (share * sorted.len() as f64).ceil() as usize;
    f64::from(sorted[rank.clamp(1, sorted.len()) - 1]) / 1000.0
}

impl Summary {
    /// Sums up what was written down.
    pub fn new(strategy: &str, scenario: &Scenario, mut record: Record) -> Self {
        let width = scenario.duration.secs() / BUCKETS as f64;
        for bucket in &mut record.buckets {
            bucket.latencies.sort_unstable();
        }
        let buckets = &record.buckets;
        let series = Series {
            width,
            p99: buckets
                .iter()
                .map(|bucket| (bucket.ok > 0).then(|| quantile(&bucket.latencies, 0.99)))
                .collect(),
            success: buckets.iter().map(|bucket| ratio(bucket.ok, bucket.calls)).collect(),
            most: buckets.iter().map(|bucket| bucket.most).collect(),
            attempts: buckets.iter().map(|bucket| rounded(bucket.attempts as f64 / width, 1)).collect(),
            bad_share: buckets.iter().map(|bucket| ratio(bucket.bad, bucket.attempts)).collect(),
        };
        let mut latencies: Vec<u32> =
            record.buckets.iter().flat_map(|bucket| bucket.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let (calls, ok) = (record.calls(), record.ok());
        let weights =
            scenario.hosts.iter().map(|host| f64::from(lb_core::ServiceInstance::weight(&*host.instance)));
        let total: f64 = weights.clone().sum();
        let fair = weights.map(|weight| record.attempts as f64 * weight / total);
        let most = record.hosts.iter().zip(fair).filter(|(_, fair)| *fair > 0.0);
        let imbalance = most.map(|(requests, fair)| *requests as f64 / fair).fold(0.0, f64::max);
        let users = &record.users;
        Self {
            strategy: strategy.to_owned(),
            calls,
            success: ratio(ok, calls).unwrap_or(0.0),
            ends: End::ALL
                .iter()
                .map(|end| (end.as_str(), record.ends[*end as usize]))
                .filter(|(_, n)| *n > 0)
                .collect(),
            mean: if ok > 0 { rounded(record.mean_latency() * 1000.0, 3) } else { 0.0 },
            p50: quantile(&latencies, 0.5),
            p95: quantile(&latencies, 0.95),
            p99: quantile(&latencies, 0.99),
            p999: quantile(&latencies, 0.999),
            max_queue: series.most.iter().copied().max().unwrap_or(0),
            bad_share: ratio(record.bad, record.attempts_in_trouble),
            wasted: ratio(record.attempts.saturating_sub(ok), calls).unwrap_or(0.0),
            imbalance: rounded(imbalance, 3),
            users: (users.iter().copied().min().unwrap_or(0), users.iter().copied().max().unwrap_or(0)),
            curve: CURVE.iter().map(|share| quantile(&latencies, *share)).collect(),
            series,
            picks: record.picks,
            events: record.events,
        }
    }

    /// Whether this served more, and if both served as much (to a tenth of a point), served it sooner.
    pub fn cmp_rank(&self, other: &Self) -> std::cmp::Ordering {
        let served = |summary: &Self| (summary.success * 1000.0).round() as i64;
        served(other)
            .cmp(&served(self))
            .then(self.p99.total_cmp(&other.p99))
            .then(self.strategy.cmp(&other.strategy))
    }
}
