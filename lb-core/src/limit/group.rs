//! What shares one account's quota: [`QuotaGroup`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::{Limiter, LimiterFactory};
use crate::limits::Limits;
use crate::member::Rest;
use crate::time::{LazyNow, Time};

/// Instances that share one account's quota: they rest together, and one limiter counts for all of them. An instance
/// that declares limits but no group is a group of its own.
pub struct QuotaGroup {
    key: Arc<str>,
    token: u64,
    rest: Rest,
    /// Made when the first member declares something that needs one.
    limiter: OnceLock<Arc<dyn Limiter>>,
    factory: Arc<dyn LimiterFactory>,
    /// What each member declares. Touched only when the set of instances changes.
    declared: Mutex<BTreeMap<Arc<str>, Limits>>,
}

impl QuotaGroup {
    fn new(
        key: Arc<str>,
        token: u64,
        factory: &Arc<dyn LimiterFactory>,
        limiter: Option<Arc<dyn Limiter>>,
    ) -> Self {
        let limiter = limiter.map_or_else(OnceLock::new, OnceLock::from);
        Self {
            key,
            token,
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

    #[inline]
    pub(crate) fn try_acquire(&self, cost: u64, now: &LazyNow<'_>) -> Result<(), Time> {
        match self.limiter.get() {
            Some(limiter) => limiter.try_acquire(cost, now.get()),
            None => Ok(()),
        }
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
            return Some(Arc::new(QuotaGroup::new(key, self.token(), &self.factory, Some(limiter))));
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
