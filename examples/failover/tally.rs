//! Adds up what became of the requests of one run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loadbalance::FailureKind;

use crate::outcome::Outcome;

/// One run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    /// How long the answered requests took.
    pub(crate) answered: Latencies,
    /// Calls to vendors.
    pub(crate) calls: usize,
    /// Calls of the request that took most.
    pub(crate) most_calls: usize,
    pub(crate) vendors: BTreeMap<Arc<str>, VendorTally>,
    /// Why the first few lost requests were lost.
    pub(crate) losses: Vec<String>,
}

/// The calls to one vendor.
#[derive(Debug, Default)]
pub(crate) struct VendorTally {
    pub(crate) calls: usize,
    pub(crate) answered: Latencies,
    failures: BTreeMap<&'static str, usize>,
}

/// Durations, of which percentiles are wanted.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.requests += 1;
        self.calls += outcome.calls.len();
        self.most_calls = self.most_calls.max(outcome.calls.len());
        match &outcome.answer {
            Ok(_) => self.answered.0.push(outcome.elapsed),
            Err(why) if self.losses.len() < 5 => {
                self.losses.push(format!("request {}: {why}", outcome.index));
            }
            Err(_) => {}
        }
        for call in &outcome.calls {
            let vendor = self.vendors.entry(call.vendor.clone()).or_default();
            vendor.calls += 1;
            match call.failure {
                None => vendor.answered.0.push(call.elapsed),
                Some(kind) => *vendor.failures.entry(kind.as_str()).or_default() += 1,
            }
        }
    }

    /// Requests without an answer.
    pub(crate) fn lost(&self) -> usize {
        self.requests - self.answered.len()
    }

    pub(crate) fn success_rate(&self) -> f64 {
        self.answered.len() as f64 / self.requests.max(1) as f64
    }

    /// Calls that brought no answer, per request that got one; `None` if none did.
    pub(crate) fn wasted_per_success(&self) -> Option<f64> {
        let answered = self.answered.len();
        (answered > 0).then(|| (self.calls - answered) as f64 / answered as f64)
    }
}

impl VendorTally {
    pub(crate) fn failed(&self, kind: FailureKind) -> usize {
        self.failures.get(kind.as_str()).copied().unwrap_or(0)
    }

    pub(crate) fn success_rate(&self) -> f64 {
        self.answered.len() as f64 / self.calls.max(1) as f64
    }
}

impl Latencies {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest that is not exceeded by a fraction of `q` of all.
    pub(crate) fn percentile(&self, q: f64) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Call;

    #[test]
    fn percentiles() {
        let latencies = Latencies((1..=200).rev().map(Duration::from_millis).collect());
        let of = |q| latencies.percentile(q).map(|duration| duration.as_millis());
        assert_eq!([of(0.5), of(0.99), of(1.0), of(0.0)], [Some(100), Some(198), Some(200), Some(1)]);
        assert_eq!(Latencies::default().percentile(0.5), None);
    }

    #[test]
    fn what_is_wasted() {
        let call = |failure| Call { vendor: "a".into(), failure, elapsed: Duration::ZERO };
        let mut tally = Tally::default();
        let (bad, good) = (call(Some(FailureKind::Timeout)), call(None));
        tally.add(&Outcome {
            index: 0,
            calls: vec![bad, good],
            elapsed: Duration::ZERO,
            answer: Ok("x".into()),
        });
        let bad = call(Some(FailureKind::Service));
        tally.add(&Outcome { index: 1, calls: vec![bad], elapsed: Duration::ZERO, answer: Err("y".into()) });
        assert_eq!(tally.wasted_per_success(), Some(2.0));
        assert_eq!((tally.success_rate(), tally.lost()), (0.5, 1));
        assert_eq!(tally.vendors["a"].failed(FailureKind::Timeout), 1);
    }
}
