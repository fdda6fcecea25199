//! A pool that is driven by hand: [`Lab`].

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use lb_core::health::HealthState;
use lb_core::limit::DeclaredLimiters;
use lb_core::member::Lease;
use lb_core::pool::{Effect, InstanceStats, NoPick, Pool, PoolContext, ServiceStats};
use lb_core::registry::{ConfigEntry, Entries, Entry, Revision, Snapshot};
use lb_core::strategy::{Exclusions, Outcome, PickRequest};
use lb_core::{
    Failure, FailureKind, Instance, OutlierDetection, SeededRandom, ServiceConfig, SlowStart, Time,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A pool, its clock, and its chance.
pub(crate) struct Lab {
    pub(crate) pool: Arc<Pool<Instance>>,
    pub(crate) random: SeededRandom,
    now: Cell<Time>,
    revision: Cell<u64>,
}

/// Ejections without jitter.
pub(crate) fn exact() -> OutlierDetection {
    let mut detection = OutlierDetection::DEFAULT;
    detection.jitter = 0.0;
    detection
}

/// Ejections without jitter, and something else.
pub(crate) fn exact_but(change: impl FnOnce(&mut OutlierDetection)) -> OutlierDetection {
    let mut detection = exact();
    change(&mut detection);
    detection
}

pub(crate) fn config(outliers: OutlierDetection, slow_start: SlowStart) -> ServiceConfig {
    ServiceConfig::builder().outlier_detection(outliers).slow_start(slow_start).build().unwrap()
}

pub(crate) fn id(n: usize) -> String {
    format!("h{n}")
}

impl Lab {
    /// `n` instances `h0`, `h1`, … under the given configuration.
    pub(crate) fn new(n: usize, config: ServiceConfig, seed: u64) -> Self {
        let start = Time::after_origin(SECOND);
        // What is learned of quotas is no matter of health.
        let mut context = PoolContext::with_limiters(Arc::new(DeclaredLimiters));
        context.config = config;
        context.seed = seed;
        let lab = Self {
            pool: Pool::new("s", Arc::new(context), start),
            random: SeededRandom::new(seed),
            now: Cell::new(start),
            revision: Cell::new(0),
        };
        lab.set((0..n).map(|n| Instance::new(id(n))));
        lab
    }

    /// With the given outlier detection and no slow start.
    pub(crate) fn with(n: usize, outliers: OutlierDetection) -> Self {
        Self::new(n, config(outliers, SlowStart::OFF), 7)
    }

    /// Makes these the instances of the service, all registered anew.
    pub(crate) fn set(&self, instances: impl IntoIterator<Item = Instance>) {
        self.revision.set(self.revision.get() + 1);
        let revision = Revision::new(self.revision.get());
        let entries = instances.into_iter().map(|i| Arc::new(Entry::new(i, revision)));
        let snapshot = Arc::new(Snapshot::new(entries.collect::<Entries<_>>(), None, revision));
        self.pool.apply(|| snapshot, self.now());
    }

    /// Keeps those instances of which `keep` is true, and does not touch them.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.revision.set(self.revision.get() + 1);
        let stats = self.stats();
        let kept = stats.instances.iter().filter(|i| keep(&i.id)).map(|i| self.pool.member(&i.id).unwrap());
        let entries: Entries<_> = kept.map(|member| Arc::clone(member.entry())).collect();
        let snapshot = Arc::new(Snapshot::new(entries, None, Revision::new(self.revision.get())));
        self.pool.apply(|| snapshot, self.now());
    }

    /// The instances that there are, and a new one.
    pub(crate) fn set_more(&self, n: usize, id: &str) {
        self.set_more_weighing(n, id, 1);
    }

    pub(crate) fn set_more_weighing(&self, n: usize, id: &str, weight: u32) {
        let here = (0..n).map(|n| Arc::clone(self.pool.member(&self::id(n)).unwrap().entry()));
        self.revision.set(self.revision.get() + 1);
        let revision = Revision::new(self.revision.get());
        let new = Arc::new(Entry::new(Instance::new(id).with_weight(weight), revision));
        let entries: Entries<_> = here.chain([new]).collect();
        let snapshot = Arc::new(Snapshot::new(entries, None, revision));
        self.pool.apply(|| snapshot, self.now());
    }

    /// Moves the clock to that long after the beginning.
    pub(crate) fn wait_until(&self, time: Duration) {
        let target = Time::after_origin(time);
        assert!(target >= self.now(), "the clock is past that");
        self.now.set(target);
    }

    /// Puts a configuration into force.
    pub(crate) fn configure(&self, config: ServiceConfig) {
        self.revision.set(self.revision.get() + 1);
        let revision = Revision::new(self.revision.get());
        let here = self.stats().instances;
        let entries: Entries<_> =
            here.iter().filter_map(|i| Some(Arc::clone(self.pool.member(&i.id)?.entry()))).collect();
        let config = Some(Arc::new(ConfigEntry::new(config, revision)));
        let snapshot = Arc::new(Snapshot::new(entries, config, revision));
        self.pool.apply(|| snapshot, self.now());
    }

    pub(crate) fn now(&self) -> Time {
        self.now.get()
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.now.set(self.now() + time);
    }

    /// A request to whoever is picked.
    pub(crate) fn pick(&self) -> Result<Lease<Instance>, NoPick> {
        self.pool.acquire(PickRequest::new(&Exclusions::NONE), &self.now(), &self.random)
    }

    /// Whom a hundred requests would go to that begin now and end together, in order.
    pub(crate) fn picked(&self) -> Vec<String> {
        let leases: Vec<_> = (0..100).filter_map(|_| self.pick().ok()).collect();
        let mut ids: Vec<_> = leases.iter().map(|lease| lease.member().id().to_string()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// A request to that instance, whatever is held against it.
    pub(crate) fn lease(&self, id: &str) -> Lease<Instance> {
        let mut others = Exclusions::new();
        for other in self.stats().instances.iter().filter(|other| &*other.id != id) {
            others.exclude(&*self.pool.member(&other.id).unwrap(), false);
        }
        self.pool.acquire(PickRequest::new(&others), &self.now(), &self.random).unwrap()
    }

    /// Ends a request that began at `began`.
    pub(crate) fn end(&self, lease: Lease<Instance>, began: Time, failure: Option<Failure>) -> Effect {
        let elapsed = self.now().since(began);
        let outcome = match failure {
            None => Outcome::success(elapsed),
            Some(failure) => Outcome::failure(failure, elapsed),
        };
        let member = Arc::clone(lease.member());
        drop(lease);
        self.pool.record(&member, &outcome, self.now())
    }

    /// One request to that instance, which takes a millisecond.
    pub(crate) fn request(&self, id: &str, failure: Option<Failure>) -> Effect {
        let (lease, began) = (self.lease(id), self.now());
        self.wait(MS);
        self.end(lease, began, failure)
    }

    pub(crate) fn ok(&self, id: &str, n: usize) {
        (0..n).for_each(|_| _ = self.request(id, None));
    }

    pub(crate) fn fail(&self, id: &str, n: usize) -> Vec<Effect> {
        (0..n).map(|_| self.request(id, Some(Failure::service()))).collect()
    }

    /// Failures of requests that are not counted in flight: recorded only.
    pub(crate) fn fail_held(&self, id: &str, began: Time, n: usize) {
        let member = self.pool.member(id).unwrap();
        let outcome = Outcome::failure(Failure::service(), self.now().since(began));
        (0..n).for_each(|_| _ = self.pool.record(&member, &outcome, self.now()));
    }

    pub(crate) fn fail_with(&self, id: &str, kind: FailureKind, n: usize) {
        (0..n).for_each(|_| _ = self.request(id, Some(Failure::new(kind))));
    }

    pub(crate) fn stats(&self) -> ServiceStats {
        self.pool.stats(0, self.now())
    }

    pub(crate) fn of(&self, id: &str) -> InstanceStats {
        self.stats().instances.into_iter().find(|i| &*i.id == id).unwrap()
    }

    pub(crate) fn health(&self, id: &str) -> HealthState {
        self.of(id).health
    }

    /// Who is not healthy.
    pub(crate) fn ill(&self) -> Vec<String> {
        let stats = self.stats();
        let ill = stats.instances.iter().filter(|i| i.health != HealthState::Healthy);
        ill.map(|i| i.id.to_string()).collect()
    }
}
