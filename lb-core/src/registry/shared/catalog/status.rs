//! What operators see of a registry: [`RegistryStatus`], and the [`Counters`] behind it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::registry::snapshot::Freshness;

/// The state of one registry object: whether it is well, and what it has been through. Serialisable; holds no
/// instance, and so no secret.
///
/// ```
/// use std::time::SystemTime;
/// use lb_core::Instance;
/// use lb_core::registry::shared::{Catalog, CatalogOptions};
///
/// let catalog = Catalog::<Instance>::new(CatalogOptions::default(), SystemTime::now());
/// catalog.counters().reconnected();
/// let status = catalog.status();
/// assert_eq!((status.reconnects, status.instances), (1, 0));
/// assert!(serde_json::to_string(&status)?.contains(r#""state":"stale""#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegistryStatus {
    /// How far what is known can be trusted.
    pub freshness: Freshness,
    /// When the store last said anything, by this machine's clock.
    pub last_contact: Option<SystemTime>,
    /// The store's revision of the last change that was taken over.
    pub revision: u64,
    /// Services that have an instance or a configuration.
    pub services: usize,
    /// Services that somebody in this process watches.
    pub watched: usize,
    /// Instances of all services, suspects included.
    pub instances: usize,
    /// Instances that vanished in a crowd and are kept for now.
    pub suspects: usize,
    /// What operators have laid over instances, present or not.
    pub overrides: usize,
    /// Values in the store that cannot be read and are left out.
    pub skipped: usize,
    /// How many instances this process announces.
    pub announced: u64,
    /// Listings that were taken over, since the start.
    pub relists: u64,
    /// Connections that were made anew, since the start.
    pub reconnects: u64,
    /// Announcements that were written again because the store had lost them, since the start.
    pub re_registrations: u64,
    /// Suspects that were dropped because their time was over, since the start.
    pub expired: u64,
    /// Times at which the store's history turned out to be another one, since the start.
    pub rewinds: u64,
    /// Calls to the store that failed, since the start.
    pub errors: u64,
}

/// What a registry counts. Relaxed atomics: each number is exact, and they are not taken at one instant.
#[derive(Debug, Default)]
pub struct Counters {
    last_contact: AtomicU64,
    announced: AtomicU64,
    relists: AtomicU64,
    reconnects: AtomicU64,
    re_registrations: AtomicU64,
    expired: AtomicU64,
    rewinds: AtomicU64,
    errors: AtomicU64,
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    /// The store said something, at `now` by this machine's clock.
    pub fn contact(&self, now: SystemTime) {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.last_contact.fetch_max(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A connection was made anew.
    pub fn reconnected(&self) {
        add(&self.reconnects, 1);
    }

    /// An announcement was written again because the store had lost it.
    pub fn re_registered(&self) {
        add(&self.re_registrations, 1);
    }

    /// A call to the store failed.
    pub fn failed(&self) {
        add(&self.errors, 1);
    }

    /// How many instances this process announces now.
    pub fn announcing(&self, n: u64) {
        self.announced.store(n, Ordering::Relaxed);
    }

    pub(super) fn listed(&self) {
        add(&self.relists, 1);
    }

    pub(super) fn rewound(&self) {
        add(&self.rewinds, 1);
    }

    pub(super) fn dropped(&self, suspects: usize) {
        add(&self.expired, suspects as u64);
    }

    /// A status with these numbers, and nothing else in it yet.
    pub(super) fn status(&self, freshness: Freshness) -> RegistryStatus {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let contact = of(&self.last_contact);
        RegistryStatus {
            freshness,
            last_contact: (contact > 0).then(|| UNIX_EPOCH + Duration::from_millis(contact)),
            revision: 0,
            services: 0,
            watched: 0,
            instances: 0,
            suspects: 0,
            overrides: 0,
            skipped: 0,
            announced: of(&self.announced),
            relists: of(&self.relists),
            reconnects: of(&self.reconnects),
            re_registrations: of(&self.re_registrations),
            expired: of(&self.expired),
            rewinds: of(&self.rewinds),
            errors: of(&self.errors),
        }
    }
}
