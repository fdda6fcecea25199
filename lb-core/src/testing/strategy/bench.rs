//! A strategy at work on a real pool, driven by hand: [`StrategyBench`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{OutlierDetection, ServiceConfig};
use crate::failure::Failure;
use crate::instance::Instance;
use crate::member::{Lease, Member, MemberSet, Slot};
use crate::pool::{Pool, PoolContext};
use crate::random::{RandomSource, SeededRandom};
use crate::registry::{Entries, Entry, InstanceState, Override, Revision, Snapshot};
use crate::strategy::{Candidates, Exclusions, Outcome, PickRequest, Picker, Strategy};
use crate::time::Time;

/// A strategy at work on a real pool, driven by hand: the set changes when it is told to, time stands still until it is
/// moved (but for a nanosecond per change of the set), chance follows from a seed. For tests of what one strategy promises beyond the contract.
///
/// It asks the pool's own picker and believes nothing: [`pick`](Self::pick) panics if what it returns is not eligible.
///
/// ```
/// use lb_core::strategy::RoundRobin;
/// use lb_core::testing::StrategyBench;
///
/// let bench = StrategyBench::new(RoundRobin::new().starting_at(0), 7).with_equal_members(3);
/// let order: Vec<_> = (0..4).filter_map(|_| bench.serve()).collect();
/// assert_eq!(order, ["m000", "m001", "m002", "m000"].map(Into::into));
/// ```
pub struct StrategyBench {
    strategy: Arc<dyn Strategy<Instance>>,
    pool: Arc<Pool<Instance>>,
    entries: Mutex<Entries<Instance>>,
    revision: AtomicU64,
    now: AtomicU64,
    random: SeededRandom,
    keys: SeededRandom,
}

/// How long the members that [`StrategyBench::rest`] rests do so: longer than any test moves the time.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a request takes that the bench serves.
const LATENCY: Duration = Duration::from_millis(1);

impl StrategyBench {
    /// A pool without members, under the given strategy.
    pub fn new(strategy: impl Strategy<Instance>, seed: u64) -> Self {
        Self::of(Arc::new(strategy), seed)
    }

    pub(super) fn of(strategy: Arc<dyn Strategy<Instance>>, seed: u64) -> Self {
        let mut context = PoolContext::new();
        context.strategy = Arc::clone(&strategy);
        // Nobody is ejected: whoever rests does so because a rule says so, and not between a pick and the look at it.
        context.config =
            ServiceConfig::builder().outlier_detection(OutlierDetection::OFF).build().unwrap_or_default();
        let start = Time::after_origin(Duration::from_secs(1));
        Self {
            strategy,
            pool: Pool::new("bench", Arc::new(context), start),
            entries: Mutex::default(),
            revision: AtomicU64::new(0),
            now: AtomicU64::new(start.as_nanos()),
            random: SeededRandom::new(seed),
            keys: SeededRandom::new(!seed),
        }
    }

    /// Adds `n` members of weight 1 with the ids `m000`, `m001`, …
    pub fn with_equal_members(self, n: usize) -> Self {
        self.with_weights(std::iter::repeat_n(1, n))
    }

    /// Adds members of the given weights with the ids `m000`, `m001`, …
    pub fn with_weights(self, weights: impl IntoIterator<Item = u32>) -> Self {
        self.change(|entries| {
            for (i, weight) in weights.into_iter().enumerate() {
                entries.insert(self.entry(Instance::new(Self::id(i)).with_weight(weight)));
            }
        });
        self
    }

    /// The id of the `i`-th member: `m000`, `m001`, …
    pub fn id(i: usize) -> String {
        format!("m{i:03}")
    }

    /// The pool.
    pub fn pool(&self) -> &Arc<Pool<Instance>> {
        &self.pool
    }

    /// The strategy.
    pub fn strategy(&self) -> &Arc<dyn Strategy<Instance>> {
        &self.strategy
    }

    /// The members that can be picked now.
    pub fn set(&self) -> MemberSet<Instance> {
        self.pool.home().published.load().set.clone()
    }

    /// The source of chance that picks draw from.
    pub fn random(&self) -> &SeededRandom {
        &self.random
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time::from_nanos(self.now.load(Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX >> 1);
        self.now.fetch_add(by, Ordering::Relaxed);
    }

    /// Registers an instance, in the place of the one that has its id.
    pub fn put(&self, instance: Instance) {
        self.change(|entries| {
            entries.insert(self.entry(instance));
        });
    }

    /// Deregisters an instance.
    pub fn remove(&self, id: &str) {
        self.change(|entries| {
            entries.remove(id);
        });
    }

    /// Lays something over an instance, as an operator would.
    pub fn lay_over(&self, id: &str, over: Override) {
        self.change(|entries| {
            if let Some(entry) = entries.get(id) {
                entries.insert(Arc::new(Entry::clone(entry).with_override(over)));
            }
        });
    }

    /// Puts an instance into another state.
    pub fn set_state(&self, id: &str, state: InstanceState) {
        self.change(|entries| {
            if let Some(entry) = entries.get(id) {
                entries.insert(Arc::new(Entry::clone(entry).with_state(state)));
            }
        });
    }

    /// Deregisters everybody.
    pub fn clear(&self) {
        self.change(|entries| *entries = Entries::default());
    }

    /// Rests a member, as if it had answered with a long `Retry-After`. It goes on when it is registered anew.
    pub fn rest(&self, id: &str) {
        if let Some(member) = self.pool.member(id) {
            let failure = Failure::service().with_retry_after(LONG);
            self.pool.record(&member, &Outcome::failure(failure, LATENCY), self.now());
        }
    }

    /// Excludes the members of these ids from a pick.
    pub fn exclusions(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> Exclusions {
        let mut exclusions = Exclusions::new();
        for member in ids.into_iter().filter_map(|id| self.pool.member(id.as_ref())) {
            exclusions.exclude(&member, false);
        }
        exclusions
    }

    /// The member that the strategy picks, or `None` if it says that nobody is eligible.
    ///
    /// # Panics
    ///
    /// If the member is not eligible.
    pub fn pick(&self, exclusions: &Exclusions) -> Option<Arc<Member<Instance>>> {
        let published = self.pool.home().published.load();
        self.pick_by(&*published.picker, &published.set, exclusions)
    }

    pub(super) fn pick_by(
        &self,
        picker: &dyn Picker<Instance>,
        set: &MemberSet<Instance>,
        exclusions: &Exclusions,
    ) -> Option<Arc<Member<Instance>>> {
        let now = self.now();
        let candidates = Candidates::new(set, self.request(exclusions), &now, &self.random);
        checked_pick(picker, &candidates).map(|(_, member)| member)
    }

    /// A request; three of four have a key.
    pub(super) fn request<'a>(&self, exclusions: &'a Exclusions) -> PickRequest<'a> {
        let key = self.keys.next_u64();
        PickRequest { hash_key: (!key.is_multiple_of(4)).then_some(key), ..PickRequest::new(exclusions) }
    }

    /// One request from the pick to its success after a millisecond (by its own account; time does not move). Returns
    /// who served it, or `None` if nobody was eligible.
    pub fn serve(&self) -> Option<Arc<str>> {
        self.serve_without(&Exclusions::new())
    }

    /// The same without some of the members.
    pub fn serve_without(&self, exclusions: &Exclusions) -> Option<Arc<str>> {
        let member = self.pick(exclusions)?;
        let lease = self.start(&member);
        self.pool.record(lease.member(), &Outcome::success(LATENCY), self.now());
        Some(Arc::clone(member.id()))
    }

    /// Counts a request in on a member that was picked.
    pub(super) fn start(&self, member: &Arc<Member<Instance>>) -> Lease<Instance> {
        let now = self.now();
        let lease = Lease::acquire(member, 1, &crate::time::LazyNow::new(&now));
        let lease = lease.expect("no member of a bench has a quota");
        let published = self.pool.home().published.load();
        if published.interest.starts {
            published.picker.on_start(member);
        }
        lease
    }

    /// Serves `n` requests and counts who served how many.
    ///
    /// # Panics
    ///
    /// If nobody is eligible.
    pub fn shares(&self, n: u64, exclusions: &Exclusions) -> BTreeMap<Arc<str>, u64> {
        let mut shares = BTreeMap::new();
        for _ in 0..n {
            let id = self.serve_without(exclusions).expect("found nobody, although somebody is eligible");
            *shares.entry(id).or_default() += 1;
        }
        shares
    }

    fn entry(&self, instance: Instance) -> Arc<Entry<Instance>> {
        let revision = Revision::new(self.revision.fetch_add(1, Ordering::Relaxed) + 1);
        Arc::new(Entry::new(instance, revision))
    }

    fn change(&self, change: impl FnOnce(&mut Entries<Instance>)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut entries);
        let revision = Revision::new(self.revision.load(Ordering::Relaxed).max(1));
        let snapshot = Arc::new(Snapshot::new(entries.clone(), None, revision));
        // No two changes at the same time: a pool tells departures of the same member apart by theirs.
        self.advance(Duration::from_nanos(1));
        self.pool.apply(|| snapshot, self.now());
    }
}

/// What a picker picks, if it keeps the first rule of all.
pub(super) fn checked_pick(
    picker: &dyn Picker<Instance>,
    candidates: &Candidates<'_, Instance>,
) -> Option<(Slot, Arc<Member<Instance>>)> {
    let slot = picker.pick(candidates)?;
    let Some(member) = candidates.member(slot) else {
        panic!("picked {slot:?}, which does not exist among {} members", candidates.len())
    };
    assert!(candidates.is_eligible(slot), "picked {}, which is not eligible", member.id());
    Some((slot, Arc::clone(member)))
}

impl fmt::Debug for StrategyBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyBench")
            .field("strategy", &self.strategy.name())
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
