//! What shares one account's quota: [`QuotaGroup`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::{Limiter, LimiterFactory, QuotaHint, QuotaStatus, Refusal};
use crate::limits::Limits;
use crate::member::Rest;
use crate::time::{LazyNow, Time};

/// Instances that share one account's quota: they rest together, and one limiter counts for all of them. An instance
/// without a named group becomes a group of its own when it declares limits, or when something is first learned of its
/// quota.
pub struct QuotaGroup {
    key: Arc<str>,
    token: u64,
    /// Whether it has a name, and so may have several members.
    is_shared: bool,
    /// When a change of the limiter was last told, in nanoseconds; 0: never.
    told: AtomicU64,
    rest: Rest,
    /// Made when the first member declares something that needs one, or when something is first learned.
    limiter: OnceLock<Arc<dyn Limiter>>,
    factory: Arc<dyn LimiterFactory>,
    /// What each member declares. Touched only when the set of instances changes.
    declared: Mutex<BTreeMap<Arc<str>, Limits>>,
}

impl QuotaGroup {
    fn new(
        key: Arc<str>,
        token: u64,
        is_shared: bool,
        factory: &Arc<dyn LimiterFactory>,
        limiter: Option<Arc<dyn Limiter>>,
    ) -> Self {
        let limiter = limiter.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            key,
            token,
            is_shared,
            told: AtomicU64::new(0),
            rest: Rest::default(),
            limiter,
            factory: Arc::clone(factory),
            declared: Mutex::default(),
        }
    }

    /// The group's name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A number that no other group of the balancer has or had.
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    pub(crate) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// What is left of the quota, from 0 to 1.
    pub fn headroom(&self, now: Time) -> f64 {
        self.limiter.get().map_or(1.0, |limiter| limiter.headroom(now))
    }

    /// The limiter, if the group has one.
    pub(crate) fn limiter(&self) -> Option<&dyn Limiter> {
        self.limiter.get().map(|limiter| &**limiter)
    }

    /// The limiter, made by the factory if there is none yet and it holds one to be needed.
    fn limiter_on_demand(&self) -> Option<&dyn Limiter> {
        if self.limiter.get().is_none() {
            let _declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(limiter) = self.factory.on_demand(&self.key) {
                // Another thread may have come first, and then it is that one's.
                let _ = self.limiter.set(limiter);
            }
        }
        self.limiter()
    }

    /// The provider refused a request for its quota. Returns whether the limiter learned something from that.
    pub(crate) fn refusal(&self, refusal: Refusal, now: Time) -> bool {
        self.limiter_on_demand().is_some_and(|limiter| limiter.refusal(refusal, now))
    }

    /// The provider said what is left.
    pub(crate) fn hint(&self, hint: QuotaHint, now: Time) {
        if let Some(limiter) = self.limiter_on_demand() {
            limiter.hint(hint, now);
        }
    }

    /// Whether it has a name, and so may have several members.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Tells the log of a change of the limiter; of a group at most once in [`TELL_EVERY`].
    pub(crate) fn tell(&self, service: &str, instance: &str, now: Time) {
        let told = self.told.load(Ordering::Relaxed);
        if told != 0 && now.since(Time::from_nanos(told)) < TELL_EVERY {
            return;
        }
        self.told.store(now.as_nanos().max(1), Ordering::Relaxed);
        let Some(status) = self.status(now) else { return };
        let (source, rate, burst) = (status.source.as_str(), status.requests_per_minute, status.burst);
        if told == 0 {
            tracing::info!(
                service, instance, quota_group = %self.key, source, requests_per_minute = ?rate, ?burst,
                "the provider refuses requests for its quota; its rate is learned (declare the limits, if you know them)"
            );
        } else {
            tracing::debug!(
                service, instance, quota_group = %self.key, source, requests_per_minute = ?rate, ?burst,
                refused = status.refused, "quota narrowed"
            );
        }
    }

    /// The limits in force.
    pub fn status(&self, now: Time) -> Option<QuotaStatus> {
        self.limiter()?.status(now)
    }

    /// The limiter, if it has something to hold back.
    #[inline]
    fn active_limiter(&self) -> Option<&dyn Limiter> {
        self.limiter().filter(|limiter| !limiter.is_idle())
    }

    #[inline]
    pub(crate) fn try_acquire(&self, cost: u64, now: &LazyNow<'_>) -> Result<(), Time> {
        match self.active_limiter() {
            Some(limiter) => limiter.try_acquire(cost, now.get()),
            None => Ok(()),
        }
    }

    /// Whether no request of that cost can be let in now: it rests, or has no room. Reads the clock only if it may.
    #[inline]
    pub(crate) fn bars(&self, cost: u64, now: &LazyNow<'_>) -> bool {
        self.rest.is_active(now)
            || self.active_limiter().is_some_and(|limiter| limiter.available_at(cost, now.get()) > now.get())
    }

    pub(crate) fn release(&self) {
        if let Some(limiter) = self.limiter.get() {
            limiter.release();
        }
    }

    pub(crate) fn available_at(&self, cost: u64, now: Time) -> Time {
        let rest = self.rest.get(now).map_or(now, |(until, _)| until);
        self.limiter.get().map_or(rest, |limiter| rest.max(limiter.available_at(cost, now)))
    }

    /// Notes what the member `id` of `service` declares (`None`: it is gone); the smallest declarations count.
    pub(crate) fn declare(&self, service: &str, id: &str, limits: Option<Limits>) {
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let member = Arc::from(format!("{service}/{id}"));
        match limits {
            Some(limits) => declared.insert(member, limits),
            None => declared.remove(&member),
        };
        let smallest = declared.values().copied().reduce(smallest).unwrap_or(Limits::NONE);
        match self.limiter.get() {
            Some(limiter) => limiter.declare(smallest),
            None => {
                if let Some(limiter) = self.factory.limiter(&self.key, smallest) {
                    // Under the lock: nobody else sets it.
                    let _ = self.limiter.set(limiter);
                }
            }
        }
    }
}

/// How often changes of one group's limiter are told.
const TELL_EVERY: Duration = Duration::from_secs(1);

fn smallest(a: Limits, b: Limits) -> Limits {
    fn min<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
    Limits {
        concurrency: min(a.concurrency, b.concurrency),
        requests_per_minute: min(a.requests_per_minute, b.requests_per_minute),
        tokens_per_minute: min(a.tokens_per_minute, b.tokens_per_minute),
        burst: min(a.burst, b.burst),
    }
}

impl fmt::Debug for QuotaGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaGroup").field("key", &self.key).finish_non_exhaustive()
    }
}

/// All quota groups of one balancer, by name. Locked only when the set of instances changes.
pub(crate) struct QuotaGroups {
    factory: Arc<dyn LimiterFactory>,
    tokens: AtomicU64,
    groups: Mutex<HashMap<Arc<str>, Weak<QuotaGroup>, foldhash::fast::RandomState>>,
}

impl QuotaGroups {
    pub(crate) fn new(factory: Arc<dyn LimiterFactory>) -> Self {
        Self { factory, tokens: AtomicU64::new(0), groups: Mutex::default() }
    }

    fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// A group of its own for an instance of which something is learned.
    pub(crate) fn on_demand(&self, service: &str, id: &str) -> Arc<QuotaGroup> {
        let key = format!("{service}/{id}").into();
        Arc::new(QuotaGroup::new(key, self.token(), false, &self.factory, None))
    }

    /// The group of an instance: the named one, or one of its own if it declares limits, or none.
    pub(crate) fn group_of(
        &self,
        service: &str,
        instance: &impl crate::ServiceInstance,
    ) -> Option<Arc<QuotaGroup>> {
        let limits = instance.limits();
        let Some(name) = instance.quota_group() else {
            let key: Arc<str> = format!("{service}/{}", instance.id()).into();
            let limiter = self.factory.limiter(&key, limits)?;
            return Some(Arc::new(QuotaGroup::new(key, self.token(), false, &self.factory, Some(limiter))));
        };
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = groups.get(name).and_then(Weak::upgrade) {
            return Some(group);
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let key: Arc<str> = name.into();
        let group = Arc::new(QuotaGroup::new(
            Arc::clone(&key),
            self.token(),
            true,
            &self.factory,
            self.factory.limiter(name, limits),
        ));
        groups.insert(key, Arc::downgrade(&group));
        Some(group)
    }
}

impl fmt::Debug for QuotaGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaGroups").finish_non_exhaustive()
    }
}
