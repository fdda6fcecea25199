//! All services of a catalog, under its lock: [`State`]. Publishes what has changed; decides nothing about instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Change, Listing, Reset};
use super::image::{Export, Image, ServiceExport, ServiceImage};
use super::options::{CatalogOptions, Numbering};
use super::service_state::ServiceState;
use super::status::{Counters, RegistryStatus};
use crate::instance::ServiceInstance;
use crate::registry::publisher::Publisher;
use crate::registry::snapshot::{Freshness, Snapshot};
use crate::time::Time;

/// A service that has something, or that somebody watches.
pub(super) struct Slot<I> {
    pub(super) service: ServiceState<I>,
    pub(super) publisher: Publisher<I>,
    pub(super) watches: usize,
    /// What is known comes from a cache.
    cold: bool,
}

/// Let go of without the lock: dropping an instance runs its owner's code, which may come back.
pub(super) type Garbage<I> = Vec<Arc<Snapshot<I>>>;

pub(super) struct State<I> {
    pub(super) services: BTreeMap<Arc<str>, Slot<I>>,
    pub(super) freshness: Freshness,
    /// Services that have suspects.
    suspecting: BTreeSet<Arc<str>>,
    /// Since when the store cannot be reached, by the clock of the decisions.
    paused: Option<Time>,
    cold: bool,
    offset: u64,
    applied: u64,
    epoch: Option<Arc<str>>,
}

/// What a listing is, compared with what is known.
enum Verdict {
    Outdated,
    Newer,
    /// Of another history.
    Rewound,
}

fn judge<I>(listing: &Listing<I>, applied: u64, epoch: Option<&Arc<str>>, cold: bool) -> Verdict {
    let other = matches!((epoch, &listing.epoch), (Some(known), Some(listed)) if known != listed);
    let older = listing.revision < applied;
    match (listing.rewound || other, older) {
        (true, _) => Verdict::Rewound,
        (false, true) if cold => Verdict::Rewound,
        (false, true) => Verdict::Outdated,
        (false, false) => Verdict::Newer,
    }
}

impl<I: ServiceInstance> State<I> {
    pub(super) fn new(freshness: Freshness) -> Self {
        Self {
            services: BTreeMap::new(),
            freshness,
            suspecting: BTreeSet::new(),
            paused: Some(Time::ORIGIN),
            cold: false,
            offset: 0,
            applied: 0,
            epoch: None,
        }
    }

    pub(super) fn slot(&mut self, service: &Arc<str>) -> &mut Slot<I> {
        let Self { services, freshness, offset, .. } = self;
        services.entry(Arc::clone(service)).or_insert_with(|| {
            let service = ServiceState::new(*offset);
            let publisher = Publisher::new(service.snapshot(*freshness));
            Slot { service, publisher, watches: 0, cold: false }
        })
    }

    /// What is added to the store's revisions of a service.
    pub(super) fn offset(&self, service: &str) -> u64 {
        self.services.get(service).map_or(self.offset, |slot| slot.service.offset())
    }

    /// The store's revision up to which a service is known.
    pub(super) fn applied(&self, service: &str) -> u64 {
        self.services.get(service).map_or(0, |slot| slot.service.applied()).max(self.applied)
    }

    /// Drops the service if nobody watches it and nothing is known of it.
    pub(super) fn tidy(&mut self, service: &str, garbage: &mut Garbage<I>) {
        let Some(slot) = self.services.get(service) else { return };
        if slot.watches > 0 || !slot.service.is_empty() {
            return;
        }
        if let Some(slot) = self.services.remove(service) {
            garbage.push(slot.publisher.latest());
            // Its revisions may have been moved further than the others'; whoever asks again must not see less.
            self.offset = self.offset.max(slot.service.offset());
        }
    }

    /// Forgets a service unless somebody watches it.
    pub(super) fn let_go(&mut self, service: &str, garbage: &mut Garbage<I>) -> bool {
        if self.services.get(service).is_some_and(|slot| slot.watches > 0) {
            return false;
        }
        if let Some(slot) = self.services.remove(service) {
            garbage.push(slot.publisher.latest());
            self.offset = self.offset.max(slot.service.offset());
        }
        self.suspecting.remove(service);
        true
    }

    /// Ends a batch for one service.
    fn settle(&mut self, name: &Arc<str>, options: &CatalogOptions, now: Time, garbage: &mut Garbage<I>) {
        let freshness = self.freshness;
        // While the store cannot be reached, time stands still for suspects.
        let since = self.paused.unwrap_or(now);
        let Some(slot) = self.services.get_mut(name) else { return };
        if slot.service.settle(&options.removal, now, since) {
            garbage.push(slot.publisher.latest());
            slot.publisher.publish(slot.service.snapshot(freshness));
        }
        if slot.service.next_deadline().is_some() {
            self.suspecting.insert(Arc::clone(name));
        } else {
            self.suspecting.remove(name);
        }
        self.tidy(name, garbage);
    }

    pub(super) fn apply(
        &mut self,
        changes: impl IntoIterator<Item = Change<I>>,
        options: &CatalogOptions,
        now: Time,
        garbage: &mut Garbage<I>,
    ) -> usize {
        let mut touched = BTreeSet::new();
        let mut applied = 0;
        for change in changes {
            if options.numbering == Numbering::Store {
                if change.revision < self.applied {
                    continue;
                }
                self.applied = change.revision;
            }
            if !options.keeps(&change.service) {
                continue;
            }
            let name = Arc::clone(&change.service);
            applied += usize::from(self.slot(&name).service.apply(change, &name));
            touched.insert(name);
        }
        for name in &touched {
            self.settle(name, options, now, garbage);
        }
        applied
    }

    pub(super) fn reset(
        &mut self,
        listing: Listing<I>,
        options: &CatalogOptions,
        counters: &Counters,
        now: Time,
        garbage: &mut Garbage<I>,
    ) -> Reset {
        let offset = match judge(&listing, self.applied, self.epoch.as_ref(), self.cold) {
            Verdict::Outdated => return Reset::Outdated,
            Verdict::Newer => None,
            Verdict::Rewound => {
                counters.rewound();
                let used = |slot: &Slot<I>| slot.service.public(slot.service.applied()).get();
                let highest = self.services.values().map(used).max().unwrap_or(0);
                self.offset = highest.max(self.offset.saturating_add(self.applied));
                Some(self.offset)
            }
        };
        counters.listed();
        let Listing { revision, epoch, items, .. } = listing;
        self.applied = revision;
        self.epoch.clone_from(&epoch);
        self.cold = false;

        let mut listed: BTreeMap<Arc<str>, Vec<Change<I>>> =
            self.services.keys().map(|name| (Arc::clone(name), Vec::new())).collect();
        for item in items {
            if let Some(items) = listed.get_mut(&item.service) {
                items.push(item);
            } else if options.keeps(&item.service) {
                listed.insert(Arc::clone(&item.service), vec![item]);
            }
        }
        for (name, items) in listed {
            let slot = self.slot(&name);
            slot.cold = false;
            slot.service.reset(items, revision, epoch.clone(), offset, &name);
            self.settle(&name, options, now, garbage);
        }
        Reset::Applied
    }

    pub(super) fn reset_service(
        &mut self,
        name: &Arc<str>,
        listing: Listing<I>,
        options: &CatalogOptions,
        counters: &Counters,
        now: Time,
        garbage: &mut Garbage<I>,
    ) -> Reset {
        if !options.keeps(name) {
            return Reset::Applied;
        }
        let slot = self.slot(name);
        let service = &mut slot.service;
        let offset = match judge(&listing, service.applied(), service.epoch(), slot.cold) {
            Verdict::Outdated => return Reset::Outdated,
            Verdict::Newer => None,
            Verdict::Rewound => {
                counters.rewound();
                Some(service.public(service.applied()).get())
            }
        };
        counters.listed();
        slot.cold = false;
        slot.service.reset(listing.items, listing.revision, listing.epoch, offset, name);
        self.settle(name, options, now, garbage);
        Reset::Applied
    }

    /// When a suspect is to be dropped; never while the store cannot be reached.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.paused.is_some() {
            return None;
        }
        self.suspecting.iter().filter_map(|name| self.services.get(name)?.service.next_deadline()).min()
    }

    pub(super) fn expire(
        &mut self,
        options: &CatalogOptions,
        counters: &Counters,
        now: Time,
        garbage: &mut Garbage<I>,
    ) {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        for name in self.suspecting.clone() {
            let Some(slot) = self.services.get_mut(&name) else { continue };
            counters.dropped(slot.service.expire(now));
            self.settle(&name, options, now, garbage);
        }
    }

    pub(super) fn set_freshness(
        &mut self,
        freshness: Freshness,
        now: Time,
        garbage: &mut Garbage<I>,
    ) -> bool {
        let same = match (self.freshness, freshness) {
            // Since when it is stale does not change while it is; and what was read from disk stays that.
            (Freshness::Stale { .. } | Freshness::ColdCache, Freshness::Stale { .. }) => true,
            (before, after) => before == after,
        };
        if same {
            return false;
        }
        self.freshness = freshness;
        if freshness == Freshness::Live {
            if let Some(since) = self.paused.take() {
                for name in &self.suspecting {
                    if let Some(slot) = self.services.get_mut(name) {
                        slot.service.postpone(now.since(since));
                    }
                }
            }
        } else if self.paused.is_none() {
            self.paused = Some(now);
        }
        for slot in self.services.values() {
            garbage.push(slot.publisher.latest());
            slot.publisher.publish(slot.service.snapshot(freshness));
        }
        true
    }

    pub(super) fn export(&self) -> Export<I> {
        let kept = self.services.iter().filter(|(_, slot)| !slot.service.is_empty());
        let services = kept
            .map(|(name, Slot { service, .. })| ServiceExport {
                name: Arc::clone(name),
                offset: service.offset(),
                revision: service.applied(),
                epoch: service.epoch().cloned(),
                snapshot: service.snapshot(self.freshness),
                known: service.known().clone(),
                overrides: service.overrides().clone(),
            })
            .collect();
        Export { offset: self.offset, revision: self.applied, epoch: self.epoch.clone(), services }
    }

    /// Takes over what a cache held, if nothing is known yet.
    pub(super) fn restore(
        &mut self,
        image: Image<Change<I>>,
        options: &CatalogOptions,
        now: Time,
        garbage: &mut Garbage<I>,
    ) -> bool {
        let untouched = self.applied == 0 && self.services.values().all(|slot| slot.service.applied() == 0);
        if !untouched || self.freshness == Freshness::Live {
            return false;
        }
        self.cold = true;
        (self.offset, self.applied, self.epoch) = (image.offset, image.revision, image.epoch);
        for ServiceImage { name, offset, revision, epoch, items } in image.services {
            if !options.keeps(&name) {
                continue;
            }
            let slot = self.slot(&name);
            slot.cold = true;
            slot.service.reset(items, revision, epoch, Some(offset), &name);
            self.settle(&name, options, now, garbage);
        }
        self.set_freshness(Freshness::ColdCache, now, garbage);
        true
    }

    pub(super) fn status(&self, counters: &Counters) -> RegistryStatus {
        let mut status = counters.status(self.freshness);
        status.revision = self.applied;
        for slot in self.services.values() {
            let counts = slot.service.counts();
            status.revision = status.revision.max(slot.service.applied());
            status.services += usize::from(slot.service.is_known());
            status.watched += usize::from(slot.watches > 0);
            status.instances += counts.instances;
            status.suspects += counts.suspects;
            status.overrides += counts.overrides;
            status.skipped += counts.skipped;
        }
        status
    }
}
