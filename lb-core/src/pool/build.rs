//! From one snapshot to the next: the writer's side of a pool. O(changes), not O(instances), as far as the strategy
//! allows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::departed::Departed;
use super::home::Home;
use crate::instance::ServiceInstance;
use crate::limit::QuotaGroups;
use crate::member::{Member, MemberSet, MemberState, Seat, Table, Weights};
use crate::registry::{Entries, Entry, EntryChange};
use crate::time::Time;

/// One instance, in the set or not.
struct Place<I> {
    member: Arc<Member<I>>,
    /// Where it is in the table; `None` while it has no weight.
    index: Option<usize>,
}

/// The working copy of a pool's members. Locked by whoever applies a snapshot; picks never see it.
pub(crate) struct Members<I> {
    home: Arc<Home<I>>,
    entries: Entries<I>,
    places: HashMap<Arc<str>, Place<I>, foldhash::fast::RandomState>,
    table: Table<I>,
    /// How many members have which weight.
    weights: BTreeMap<u32, usize>,
    total_weight: u64,
    departed: Departed,
    tokens: u64,
    /// Whether those who come with the snapshot that is being applied are eased in.
    eases_in: bool,
}

impl<I: ServiceInstance> Members<I> {
    pub(crate) fn new(home: Arc<Home<I>>) -> Self {
        Self {
            home,
            entries: Entries::default(),
            places: HashMap::default(),
            table: Table::default(),
            weights: BTreeMap::new(),
            total_weight: 0,
            departed: Departed::default(),
            tokens: 0,
            eases_in: false,
        }
    }

    /// Takes over the entries of a newer snapshot. Returns how many entries changed.
    pub(crate) fn apply(&mut self, newer: &Entries<I>, groups: &QuotaGroups, now: Time) -> usize {
        self.eases_in = self.home.health.eases_in();
        let older = std::mem::replace(&mut self.entries, newer.clone());
        let mut changes = 0;
        for change in older.diff(newer) {
            changes += 1;
            match change {
                EntryChange::Added(entry) | EntryChange::Changed { new: entry, .. } => {
                    self.put(entry, groups, now);
                }
                EntryChange::Removed(entry) => self.take(entry.id(), now),
            }
        }
        self.departed.forget(self.places.len(), now);
        changes
    }

    fn put(&mut self, entry: &Arc<Entry<I>>, groups: &QuotaGroups, now: Time) {
        let id = entry.id();
        let (state, group) = match self.places.get(id) {
            Some(place) if Arc::ptr_eq(&place.member.entry().instance, &entry.instance) => {
                (Arc::clone(place.member.state()), place.member.declared_group().cloned())
            }
            known => {
                // A quota of its own stays the instance's own, with what is used of it.
                let own = known.filter(|_| entry.instance.quota_group().is_none()).and_then(|place| {
                    let alone = place.member.instance().quota_group().is_none();
                    place.member.declared_group().filter(|_| alone).cloned()
                });
                let known = known.map(|place| Arc::clone(place.member.state()));
                if let Some(learned) = known.as_ref().and_then(|state| state.quota()) {
                    learned.rest().clear();
                }
                let state = known.unwrap_or_else(|| self.state_of(id));
                // The instance is another one: what was held against the old one does not count any more.
                self.home.health.pardon(&state, now);
                let group = match own {
                    Some(own) => {
                        own.rest().clear();
                        Some(own)
                    }
                    None => groups.group_of(&self.home.service, &*entry.instance),
                };
                (state, group)
            }
        };
        if let Some(group) = &group {
            group.declare(&self.home.service, id, Some(entry.instance.limits()));
        }
        let id = Arc::clone(state.id());
        let member = Arc::new(Member::new(Arc::clone(entry), state, group, Arc::clone(&self.home)));
        let index = self.seat(&id, &member, now);
        let old = self.places.insert(id, Place { member, index });
        if let Some(old) = old {
            self.leave_group(&old.member);
        }
    }

    /// Gives a new or changed member its place in the table: the one that it had, or one at the end, or none if it
    /// has no weight. Returns the index.
    fn seat(&mut self, id: &str, member: &Arc<Member<I>>, now: Time) -> Option<usize> {
        let weight = member.weight();
        if weight == 0 {
            self.leave_table(id, now);
            return None;
        }
        let seated =
            self.places.get_mut(id).and_then(|place| Some((place.index.take()?, place.member.weight())));
        self.count_weight(weight);
        if let Some((index, old_weight)) = seated {
            self.uncount_weight(old_weight);
            self.table.replace(index, Seat::new(Arc::clone(member)));
            return Some(index);
        }
        self.home.health.seat(member.state(), self.eases_in, now);
        Some(self.table.push(Seat::new(Arc::clone(member))))
    }

    fn count_weight(&mut self, weight: u32) {
        *self.weights.entry(weight).or_default() += 1;
        self.total_weight += u64::from(weight);
    }

    fn uncount_weight(&mut self, weight: u32) {
        self.total_weight -= u64::from(weight);
        if let Some(count) = self.weights.get_mut(&weight) {
            *count -= 1;
            if *count == 0 {
                self.weights.remove(&weight);
            }
        }
    }

    fn take(&mut self, id: &str, now: Time) {
        self.leave_table(id, now);
        if let Some(place) = self.places.remove(id) {
            if let Some(group) = place.member.declared_group() {
                group.declare(&self.home.service, id, None);
            }
            self.departed.remember(place.member.state(), now);
        }
    }

    /// If the instance has moved to another quota group, the old one no longer counts what it declares.
    fn leave_group(&self, old: &Member<I>) {
        let Some(group) = old.declared_group() else { return };
        let stays = self
            .places
            .get(&**old.id())
            .and_then(|place| place.member.declared_group())
            .is_some_and(|current| current.token() == group.token());
        if !stays {
            group.declare(&self.home.service, old.id(), None);
        }
    }

    /// Takes a member out of the table, but not out of the books.
    fn leave_table(&mut self, id: &str, now: Time) {
        let Some(place) = self.places.get_mut(id) else { return };
        let Some(index) = place.index.take() else { return };
        let weight = place.member.weight();
        self.home.health.unseat(place.member.state(), now);
        self.uncount_weight(weight);
        if let Some(moved) = self.table.swap_remove(index)
            && let Some(place) = self.places.get_mut(&**moved.id())
        {
            place.index = Some(index);
        }
    }

    /// The state under an id: that of the instance which had it last, if that was not long ago.
    fn state_of(&mut self, id: &str) -> Arc<MemberState> {
        self.departed.recall(id).unwrap_or_else(|| {
            self.tokens += 1;
            Arc::new(MemberState::new(id.into(), self.tokens))
        })
    }

    /// The set as picks shall see it.
    pub(crate) fn set(&self) -> MemberSet<I> {
        let weights = Weights {
            max: self.weights.last_key_value().map_or(0, |(weight, _)| *weight),
            min: self.weights.first_key_value().map_or(0, |(weight, _)| *weight),
            total: self.total_weight,
        };
        MemberSet::new(&self.table, weights)
    }

    /// The member of that id, with or without a weight.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Member<I>>> {
        self.places.get(id).map(|place| &place.member)
    }

    /// All members, with and without a weight, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Member<I>>> {
        self.places.values().map(|place| &place.member)
    }

    /// What is known under an id, of an instance that is there or left not long ago.
    pub(crate) fn state(&self, id: &str) -> Option<&Arc<MemberState>> {
        self.places.get(id).map(|place| place.member.state()).or_else(|| self.departed.get(id))
    }

    /// States of instances that left but still have requests running.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &Arc<MemberState>> {
        self.departed.states().filter(|state| state.in_flight() > 0)
    }
}
