//! A catalog against a simulated store, by random schedules of writes, gaps, outages and lost history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lb_core::registry::shared::{
    Catalog, CatalogOptions, Change, ChangeKind, Generation, Listing, Record, RemovalPolicy, Reset,
};
use lb_core::registry::{Entry, Freshness, InstanceState, Override, Revision, SnapshotWatch};
use lb_core::{Instance, SeededRandom, ServiceConfig, Time};
use proptest::prelude::*;

const TTL: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(30);
const SERVICES: [&str; 2] = ["s", "t"];

#[derive(Clone, Debug)]
enum Op {
    /// Registers anew, or again (after a lost lease) as the same.
    Put {
        service: usize,
        id: u8,
        anew: bool,
    },
    Drain {
        service: usize,
        id: u8,
    },
    /// Takes out: on purpose, or by a lease that ran out.
    Delete {
        service: usize,
        id: u8,
        explicit: bool,
    },
    VanishAll {
        service: usize,
    },
    Config {
        service: usize,
        retries: Option<u32>,
    },
    Override {
        service: usize,
        id: u8,
        weight: Option<u32>,
    },
    /// The watch brings what it has not brought yet; `again` of the changes before, too.
    Deliver {
        at_most: usize,
        again: usize,
    },
    /// The watch has lost its place: what it has not brought yet is lost, and there is a listing.
    Gap,
    /// A listing for good measure.
    List,
    /// The store loses its latest writes, or all.
    Rewind {
        keep: usize,
    },
    Pass {
        seconds: u64,
    },
    Away,
    Back,
}

fn op() -> impl Strategy<Value = Op> {
    let (service, id) = (0..SERVICES.len(), 0..8_u8);
    prop_oneof![
        8 => (service.clone(), id.clone(), any::<bool>()).prop_map(|(service, id, anew)| Op::Put { service, id, anew }),
        2 => (service.clone(), id.clone()).prop_map(|(service, id)| Op::Drain { service, id }),
        4 => (service.clone(), id.clone(), any::<bool>())
            .prop_map(|(service, id, explicit)| Op::Delete { service, id, explicit }),
        1 => service.clone().prop_map(|service| Op::VanishAll { service }),
        1 => (service.clone(), prop::option::of(0..5_u32))
            .prop_map(|(service, retries)| Op::Config { service, retries }),
        2 => (service, id, prop::option::of(0..5_u32))
            .prop_map(|(service, id, weight)| Op::Override { service, id, weight }),
        8 => (1..6_usize, 0..4_usize).prop_map(|(at_most, again)| Op::Deliver { at_most, again }),
        1 => Just(Op::Gap),
        1 => Just(Op::List),
        1 => (0..20_usize).prop_map(|keep| Op::Rewind { keep }),
        3 => (1..20_u64).prop_map(|seconds| Op::Pass { seconds }),
        1 => Just(Op::Away),
        1 => Just(Op::Back),
    ]
}

/// One key of the store.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Instance { generation: Generation, state: InstanceState, weight: u32 },
    Config(u32),
    Override(u32),
}

type Keys = BTreeMap<(usize, String), (u64, Value)>;

/// What the store holds, and what the watch has not brought yet.
#[derive(Default)]
struct Store {
    keys: Keys,
    history: Vec<Keys>,
    revision: u64,
    log: Vec<(u64, usize, String, Option<Value>, bool)>,
    delivered: usize,
}

impl Store {
    fn write(&mut self, service: usize, key: String, value: Option<Value>, explicit: bool) {
        if value.is_none() && !self.keys.contains_key(&(service, key.clone())) {
            return;
        }
        self.revision += 1;
        match &value {
            Some(value) => drop(self.keys.insert((service, key.clone()), (self.revision, value.clone()))),
            None => drop(self.keys.remove(&(service, key.clone()))),
        }
        self.history.push(self.keys.clone());
        self.log.push((self.revision, service, key, value, explicit));
    }

    fn listing(&mut self) -> Listing<Instance> {
        self.delivered = self.log.len();
        let items = self
            .keys
            .iter()
            .map(|((service, key), (revision, value))| change(*revision, *service, key, Some(value), false));
        Listing::new(self.revision, items.collect::<Vec<_>>())
    }
}

fn config(retries: u32) -> ServiceConfig {
    ServiceConfig::builder().max_retries(retries).build().unwrap()
}

fn change(
    revision: u64,
    service: usize,
    key: &str,
    value: Option<&Value>,
    explicit: bool,
) -> Change<Instance> {
    let service = SERVICES[service];
    let (kind, id) = key.split_at(1);
    let kind = match value {
        Some(Value::Instance { generation, state, weight }) => {
            let instance = Instance::new(id).with_weight(*weight);
            ChangeKind::Instance(Record::new(instance, *generation).with_state(*state))
        }
        Some(Value::Config(retries)) => ChangeKind::Config(Box::new(config(*retries))),
        Some(Value::Override(weight)) => {
            ChangeKind::Override { id: id.into(), over: Override::weight(*weight) }
        }
        None if kind == "i" => ChangeKind::NoInstance { id: id.into(), explicit },
        None if kind == "c" => ChangeKind::NoConfig,
        None => ChangeKind::NoOverride { id: id.into() },
    };
    Change::new(service, revision, kind)
}

/// A view, checked at every look.
struct View {
    watch: SnapshotWatch<Instance>,
    revision: Revision,
    entries: BTreeMap<String, Arc<Entry<Instance>>>,
}

struct World {
    store: Store,
    catalog: Catalog<Instance>,
    views: Vec<View>,
    /// What the catalog has been told of, and whether it can be trusted since.
    told: Keys,
    now: Time,
    /// Since when the store can be reached.
    away: bool,
    random: SeededRandom,
    /// For how long each suspect has been one while the store could be reached.
    suspected: BTreeMap<(usize, String), Duration>,
}

impl World {
    fn new() -> Self {
        let policy = RemovalPolicy::for_ttl(TTL);
        assert_eq!(policy.grace, GRACE);
        let catalog = Catalog::new(CatalogOptions::default().with_removal(policy), SystemTime::UNIX_EPOCH);
        let views = SERVICES
            .iter()
            .map(|service| View {
                watch: catalog.watch(service),
                revision: Revision::NONE,
                entries: BTreeMap::new(),
            })
            .collect();
        let now = Time::ORIGIN + Duration::from_secs(1000);
        catalog.set_freshness(Freshness::Live, now);
        Self {
            store: Store::default(),
            catalog,
            views,
            told: Keys::new(),
            now,
            away: false,
            random: SeededRandom::new(1),
            suspected: BTreeMap::new(),
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Put { service, id, anew } => {
                let key = format!("i{id}");
                let known = self.store.keys.get(&(service, key.clone())).map(|(_, value)| value.clone());
                let generation = match known {
                    Some(Value::Instance { generation, .. }) if !anew => generation,
                    _ => Generation::new(&self.random),
                };
                let weight = match known {
                    Some(Value::Instance { weight, .. }) if !anew => weight,
                    _ => u32::from(id) + 1,
                };
                let value = Value::Instance { generation, state: InstanceState::Ready, weight };
                self.store.write(service, key, Some(value), false);
            }
            Op::Drain { service, id } => {
                let key = format!("i{id}");
                if let Some((_, Value::Instance { generation, weight, .. })) =
                    self.store.keys.get(&(service, key.clone())).cloned()
                {
                    let value = Value::Instance { generation, state: InstanceState::Draining, weight };
                    self.store.write(service, key, Some(value), false);
                }
            }
            Op::Delete { service, id, explicit } => {
                self.store.write(service, format!("i{id}"), None, explicit)
            }
            Op::VanishAll { service } => {
                for id in 0..8 {
                    self.store.write(service, format!("i{id}"), None, false);
                }
            }
            Op::Config { service, retries } => {
                self.store.write(service, "c".into(), retries.map(Value::Config), false);
            }
            Op::Override { service, id, weight } => {
                self.store.write(service, format!("o{id}"), weight.map(Value::Override), false);
            }
            Op::Deliver { at_most, again } => self.deliver(at_most, again),
            Op::Gap | Op::List => self.list(false),
            Op::Rewind { keep } => {
                let keep = keep.min(self.store.history.len());
                self.store.history.truncate(keep);
                self.store.log.clear();
                self.store.revision = keep as u64;
                self.store.keys = self.store.history.last().cloned().unwrap_or_default();
                self.list(true);
            }
            Op::Pass { seconds } => {
                let passed = Duration::from_secs(seconds);
                self.now = self.now + passed;
                if !self.away {
                    self.suspected.values_mut().for_each(|time| *time += passed);
                }
                self.catalog.expire(self.now);
            }
            Op::Away => {
                self.away = true;
                self.catalog.set_freshness(Freshness::Stale { since: SystemTime::UNIX_EPOCH }, self.now);
            }
            Op::Back => {
                self.away = false;
                self.list(false);
                self.catalog.set_freshness(Freshness::Live, self.now);
            }
        }
        self.check();
    }

    fn deliver(&mut self, at_most: usize, again: usize) {
        if self.away {
            return;
        }
        let from = self.store.delivered.min(self.store.log.len());
        let to = (from + at_most).min(self.store.log.len());
        let start = from.saturating_sub(again);
        let log = &self.store.log[start..to];
        let changes: Vec<_> = log
            .iter()
            .map(|(rev, s, key, value, explicit)| change(*rev, *s, key, value.as_ref(), *explicit))
            .collect();
        self.store.delivered = to;
        self.catalog.apply(changes, self.now);
        for (revision, service, key, value, _) in &self.store.log[from..to] {
            match value {
                Some(value) => drop(self.told.insert((*service, key.clone()), (*revision, value.clone()))),
                None => drop(self.told.remove(&(*service, key.clone()))),
            }
        }
    }

    fn list(&mut self, rewound: bool) {
        if self.away && !rewound {
            return;
        }
        let listing = self.store.listing();
        let listing = if rewound { listing.rewound() } else { listing };
        assert_eq!(self.catalog.reset(listing, self.now), Reset::Applied);
        self.told = self.store.keys.clone();
    }

    /// What must hold at any time.
    fn check(&mut self) {
        let mut suspects = BTreeSet::new();
        for (service, view) in self.views.iter_mut().enumerate() {
            let snapshot = view.watch.current();
            assert!(snapshot.revision >= view.revision, "the revision has gone back");
            view.revision = snapshot.revision;

            let told = |key: String| self.told.get(&(service, key)).map(|(_, value)| value);
            for entry in snapshot.entries.iter() {
                let over = match told(format!("o{}", entry.id())) {
                    Some(Value::Override(weight)) => Override::weight(*weight),
                    _ => Override::NONE,
                };
                assert_eq!(entry.over, over);
                match told(format!("i{}", entry.id())) {
                    Some(Value::Instance { state, weight, .. }) => {
                        assert_eq!((entry.state, entry.instance.weight), (*state, *weight));
                    }
                    _ => {
                        assert_eq!(entry.state, InstanceState::Suspect, "{} is not there", entry.id());
                        suspects.insert((service, entry.id().to_owned()));
                    }
                }
                // What did not change is shared; what was not written anew is the same instance.
                if let Some(before) = view.entries.get(entry.id()) {
                    assert!(Arc::ptr_eq(before, entry) || before != entry, "{} has not changed", entry.id());
                    assert!(before.revision <= entry.revision);
                }
            }
            let present = self.told.iter().filter(|((s, key), _)| *s == service && key.starts_with('i'));
            for ((_, key), _) in present {
                assert!(snapshot.entries.get(&key[1..]).is_some(), "{key} is missing");
            }
            let retries = snapshot.config.as_ref().map(|entry| Value::Config(entry.config.max_retries()));
            assert_eq!(retries.as_ref(), told("c".into()));
            if let Some(entry) = &snapshot.config {
                let revision = self.told.get(&(service, "c".into())).map(|(revision, _)| *revision);
                assert_eq!(self.catalog.to_store(SERVICES[service], entry.revision), revision);
            }
            view.entries =
                snapshot.entries.iter().map(|entry| (entry.id().to_owned(), Arc::clone(entry))).collect();
        }
        self.suspected.retain(|key, _| suspects.contains(key));
        for suspect in suspects {
            let time = self.suspected.entry(suspect).or_default();
            assert!(*time < GRACE, "a suspect is kept longer than its grace");
        }
        assert_eq!(self.catalog.next_deadline().is_some(), !self.away && !self.suspected.is_empty());
    }

    /// After a listing, and when the time of suspects is over, the views are what the store holds.
    fn converge(&mut self) {
        self.step(&Op::Back);
        self.step(&Op::Pass { seconds: GRACE.as_secs() });
        assert_eq!(self.told, self.store.keys);
        assert!(self.suspected.is_empty());
        for (service, view) in self.views.iter().enumerate() {
            let there = self.store.keys.keys().filter(|(s, key)| *s == service && key.starts_with('i'));
            let there: BTreeSet<_> = there.map(|(_, key)| key[1..].to_owned()).collect();
            assert_eq!(view.entries.keys().cloned().collect::<BTreeSet<_>>(), there);
        }
        self.views.clear();
        let kept: BTreeSet<_> = self.store.keys.keys().map(|(service, _)| *service).collect();
        assert_eq!(self.catalog.len(), kept.len(), "services that have nothing are let go");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn views_are_what_the_store_holds(ops in prop::collection::vec(op(), 0..120)) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
        }
        world.converge();
    }
}
