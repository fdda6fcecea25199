//! Requests through the real pool under a clock of its own: [`Traffic`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use lb_core::member::Lease;
use lb_core::pool::{Pool, PoolContext};
use lb_core::registry::{Entries, Entry, Revision, Snapshot};
use lb_core::strategy::{Exclusions, Outcome, PickRequest, Strategy};
use lb_core::{Failure, Instance, OutlierDetection, RandomSource, SeededRandom, ServiceConfig, Time};
use lb_strategies::{Auto, LeastRequest, PeakEwma, Prequal};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Strategies = Vec<(&'static str, Arc<dyn Strategy<Instance>>)>;

/// The strategies that go by load, comparing all members, and comparing as few as they would in a large set.
pub(crate) fn by_load() -> Strategies {
    vec![
        ("auto", Arc::new(Auto::new())),
        ("auto by choices", Arc::new(Auto::new().scan_up_to(0))),
        ("least_request", Arc::new(LeastRequest::new())),
        ("least_request by choices", Arc::new(LeastRequest::new().scan_up_to(0))),
        ("peak_ewma", Arc::new(PeakEwma::new())),
        ("peak_ewma by choices", Arc::new(PeakEwma::new().scan_up_to(0))),
        ("prequal", Arc::new(Prequal::new())),
        ("prequal by choices", Arc::new(Prequal::new().scan_up_to(0))),
    ]
}

/// A pool without outlier detection, so that it is the strategy that has to see who is ill.
pub(crate) struct Traffic {
    pub(crate) pool: Arc<Pool<Instance>>,
    pub(crate) random: SeededRandom,
    now: Time,
    revision: u64,
}

/// How a host answers: after how long, and with what.
pub(crate) type Answer = (Duration, Option<Failure>);

/// When a request began, on whom, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) at: Duration,
    pub(crate) host: usize,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) struct Report(pub(crate) Vec<Request>);

impl Report {
    /// The part of the requests after `from` that went to a host.
    pub(crate) fn share(&self, host: usize, from: Duration) -> f64 {
        let later = || self.0.iter().filter(|request| request.at >= from);
        later().filter(|request| request.host == host).count() as f64 / later().count() as f64
    }

    /// The part of the requests that took no longer than that.
    pub(crate) fn within(&self, limit: Duration) -> f64 {
        self.0.iter().filter(|request| request.took <= limit).count() as f64 / self.0.len() as f64
    }
}

/// The number of a host by its id, `7`.
fn number(id: &str) -> usize {
    id.parse().expect("ids are numbers")
}

impl Traffic {
    /// `n` hosts, called by their numbers.
    pub(crate) fn new(strategy: &Arc<dyn Strategy<Instance>>, n: usize, seed: u64) -> Self {
        let mut context = PoolContext::new();
        context.strategy = Arc::clone(strategy);
        context.config = ServiceConfig::builder().outlier_detection(OutlierDetection::OFF).build().unwrap();
        let now = Time::after_origin(SECOND);
        let pool = Pool::new("s", Arc::new(context), now);
        let mut traffic = Self { pool, random: SeededRandom::new(seed), now, revision: 0 };
        traffic.set_hosts(0..n);
        traffic
    }

    /// Makes these the hosts. Those that stay are not touched.
    pub(crate) fn set_hosts(&mut self, hosts: impl IntoIterator<Item = usize>) {
        self.revision += 1;
        let revision = Revision::new(self.revision);
        let entry = |host: usize| match self.pool.member(&host.to_string()) {
            Some(member) => Arc::clone(member.entry()),
            None => Arc::new(Entry::new(Instance::new(host.to_string()), revision)),
        };
        let entries: Entries<_> = hosts.into_iter().map(entry).collect();
        let snapshot = Arc::new(Snapshot::new(entries, None, revision));
        self.pool.apply(|| snapshot, self.now);
    }

    /// A request that runs until it is dropped.
    pub(crate) fn acquire(&self) -> Lease<Instance> {
        self.pool.acquire(PickRequest::new(&Exclusions::NONE), &self.now, &self.random).unwrap()
    }

    /// How many of `n` requests that all end at once each host gets.
    pub(crate) fn counts(&self, n: usize) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        (0..n).for_each(|_| *counts.entry(number(self.acquire().member().id())).or_default() += 1);
        counts
    }

    /// Requests that begin at random, so many per second. `answer` is asked at the beginning of each with the host and
    /// the time; a request that takes longer than `timeout` fails then.
    pub(crate) fn run(
        &mut self,
        per_second: f64,
        lasts: Duration,
        timeout: Option<Duration>,
        mut answer: impl FnMut(usize, Duration, &SeededRandom) -> Answer,
    ) -> Report {
        let start = self.now;
        let mut running: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
        let mut leases: BTreeMap<usize, (Lease<Instance>, Outcome)> = BTreeMap::new();
        let mut requests: Vec<Request> = Vec::new();
        loop {
            let gap = -(1.0 - self.random.unit()).ln() / per_second;
            let next = self.now + Duration::from_secs_f64(gap);
            while let Some(Reverse((at, n))) = running.peek().copied().filter(|Reverse((at, _))| *at <= next)
            {
                running.pop();
                let (lease, outcome) = leases.remove(&n).expect("it runs");
                let member = Arc::clone(lease.member());
                drop(lease);
                self.pool.record(&member, &outcome, at);
            }
            self.now = next;
            if self.now.since(start) >= lasts {
                return Report(requests);
            }
            let lease = self.acquire();
            let (at, host) = (self.now.since(start), number(lease.member().id()));
            let (took, failure) = answer(host, at, &self.random);
            let outcome = match (timeout, failure) {
                (Some(limit), _) if took > limit => Outcome::failure(Failure::timeout(), limit),
                (_, Some(failure)) => Outcome::failure(failure, took),
                (_, None) => Outcome::success(took),
            };
            running.push(Reverse((self.now + outcome.elapsed, requests.len())));
            leases.insert(requests.len(), (lease, outcome.with_timeout(timeout)));
            requests.push(Request { at, host, took });
        }
    }
}
