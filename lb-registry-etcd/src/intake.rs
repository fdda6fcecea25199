//! From keys and values to the catalog: [`Intake`].

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lb_core::registry::Freshness;
use lb_core::registry::shared::{
    self as core, Catalog, ChangeKind, Codec, Listing, Reset, RuntimeClock, decode_config, decode_override,
};
use lb_core::{Clock, ServiceInstance};
use tokio::sync::watch;

use crate::announce::{Own, Sight};
use crate::client::EtcdError;
use crate::keys::{Key, Keys};
use crate::watch::{Change, Kv, Sink, Why};

/// How far following etcd has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Everything has been listed, and is being followed or was.
    pub(crate) following: bool,
    /// The last thing that went wrong, until it goes well again.
    pub(crate) error: Option<EtcdError>,
}

/// Decodes what is heard of etcd and hands it to the catalog. One value that cannot be read harms nobody else.
pub(crate) struct Intake<I> {
    catalog: Catalog<I>,
    keys: Keys,
    codec: Arc<dyn Codec<I>>,
    clock: RuntimeClock,
    own: Arc<Own<I>>,
    progress: watch::Sender<Progress>,
    state: Mutex<State<I>>,
}

struct State<I> {
    /// Of the list that is being read.
    listing: Vec<core::Change<I>>,
    listed: Lasting,
    /// Instances that live on no lease: if one of those is gone, somebody has taken it out.
    lasting: Lasting,
}

type Lasting = HashMap<Arc<str>, HashSet<Arc<str>>>;

fn note(lasting: &mut Lasting, service: &Arc<str>, id: &Arc<str>, lease: i64) {
    if lease == 0 {
        lasting.entry(Arc::clone(service)).or_default().insert(Arc::clone(id));
    } else {
        forget(lasting, service, id);
    }
}

/// Whether it was there.
fn forget(lasting: &mut Lasting, service: &str, id: &str) -> bool {
    let Some(ids) = lasting.get_mut(service) else { return false };
    let was_there = ids.remove(id);
    if ids.is_empty() {
        lasting.remove(service);
    }
    was_there
}

impl<I: ServiceInstance> Intake<I> {
    pub(crate) fn new(
        catalog: Catalog<I>,
        keys: Keys,
        codec: Arc<dyn Codec<I>>,
        clock: RuntimeClock,
        own: Arc<Own<I>>,
    ) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        let state = State { listing: Vec::new(), listed: HashMap::new(), lasting: HashMap::new() };
        Self { catalog, keys, codec, clock, own, progress, state: Mutex::new(state) }
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State<I>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the instances of a service are looked at: those that are kept, and those among which one is ours.
    fn wants(&self, service: &str) -> bool {
        self.catalog.keeps(service) || self.own.has(service)
    }

    /// What a key that was written says; `None` if it is not for the catalog.
    fn read(&self, kv: &Kv, lasting: &mut Lasting) -> Option<core::Change<I>> {
        let (service, kind) = match self.keys.parse(&kv.key)? {
            Key::Instance { service, id } if self.wants(&service) => {
                let (service, id): (Arc<str>, Arc<str>) = (service.into(), id.into());
                note(lasting, &service, &id, kv.lease);
                let kind = match self.codec.decode(&service, &id, &kv.value) {
                    Ok(record) => ChangeKind::Instance(record),
                    Err(error) => ChangeKind::Unreadable { key: core::Key::Instance(id), error },
                };
                (service, kind)
            }
            Key::Config { service } if self.catalog.keeps(&service) => {
                let kind = match decode_config(&kv.value) {
                    Ok(config) => ChangeKind::Config(Box::new(config)),
                    Err(error) => ChangeKind::Unreadable { key: core::Key::Config, error },
                };
                (service.into(), kind)
            }
            Key::Override { service, id } if self.catalog.keeps(&service) => {
                let id = id.into();
                let kind = match decode_override(&kv.value) {
                    Ok(over) => ChangeKind::Override { id, over },
                    Err(error) => ChangeKind::Unreadable { key: core::Key::Override(id), error },
                };
                (service.into(), kind)
            }
            _ => return None,
        };
        Some(core::Change::new(service, revision(kv.revision), kind))
    }

    /// What a key that was deleted says.
    fn gone(
        &self,
        key: &[u8],
        at: i64,
        taken_out: &HashSet<(Vec<u8>, i64)>,
        lasting: &mut Lasting,
    ) -> Option<core::Change<I>> {
        let (service, kind) = match self.keys.parse(key)? {
            Key::Instance { service, id } if self.wants(&service) => {
                let explicit = forget(lasting, &service, &id) || taken_out.contains(&(key.to_vec(), at));
                (service, ChangeKind::NoInstance { id: id.into(), explicit })
            }
            Key::Config { service } if self.catalog.keeps(&service) => (service, ChangeKind::NoConfig),
            Key::Override { service, id } if self.catalog.keeps(&service) => {
                (service, ChangeKind::NoOverride { id: id.into() })
            }
            _ => return None,
        };
        Some(core::Change::new(service, revision(at), kind))
    }

    /// The keys of instances that somebody says, in the same write, to have taken out.
    fn taken_out(&self, changes: &[Change]) -> HashSet<(Vec<u8>, i64)> {
        let marks = changes.iter().filter_map(|change| match change {
            Change::Put(kv) => match self.keys.parse(&kv.key) {
                Some(Key::Removed { service, id }) => {
                    Some((self.keys.instance(&service, &id).into_bytes(), kv.revision))
                }
                _ => None,
            },
            Change::Delete { .. } => None,
        });
        marks.collect()
    }

    fn contact(&self) {
        self.catalog.counters().contact(SystemTime::now());
    }
}

/// What a change says of the key of an instance.
fn sight<I: ServiceInstance>(change: &core::Change<I>) -> Option<(Arc<str>, Sight)> {
    match &change.kind {
        ChangeKind::Instance(record) => {
            Some((Arc::from(record.instance.id()), Sight::Written(record.generation)))
        }
        ChangeKind::NoInstance { id, explicit } => {
            Some((Arc::clone(id), Sight::Deleted { explicit: *explicit }))
        }
        // Nobody knows whose it is; it is there.
        ChangeKind::Unreadable { key: core::Key::Instance(id), .. } => {
            Some((Arc::clone(id), Sight::Written(None)))
        }
        _ => None,
    }
}

/// The store's revisions are never negative.
fn revision(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

impl<I: ServiceInstance> Sink for Intake<I> {
    fn list_begins(&self) {
        let mut state = self.state();
        // Dropped without the lock: an instance runs its owner's code.
        let dropped = (mem::take(&mut state.listing), mem::take(&mut state.listed));
        drop(state);
        drop(dropped);
    }

    fn page(&self, page: Vec<Kv>) {
        self.contact();
        let mut state = self.state();
        let State { listing, listed, .. } = &mut *state;
        listing.extend(page.iter().filter_map(|kv| self.read(kv, listed)));
    }

    fn list_ends(&self, at: i64, cluster: u64, why: Why, rewound: bool) {
        let mut state = self.state();
        let items = mem::take(&mut state.listing);
        state.lasting = mem::take(&mut state.listed);
        drop(state);
        tracing::info!(?why, revision = at, keys = items.len(), rewound, "the registry has been listed");

        // Where history went back, its revisions say nothing.
        let said_at = if rewound { u64::MAX } else { revision(at) };
        if self.own.any() {
            let mut there = HashSet::new();
            for change in &items {
                if let Some((id, sight)) = sight(change) {
                    self.own.seen(&change.service, &id, said_at, sight);
                    there.insert((Arc::clone(&change.service), id));
                }
            }
            self.own.missing(said_at, |name| there.contains(name));
        }
        let mut listing = Listing::new(revision(at), items).in_epoch(format!("{cluster:x}"));
        if rewound {
            listing = listing.rewound();
        }
        if self.catalog.reset(listing, self.clock.now()) == Reset::Outdated {
            tracing::warn!(revision = at, "a list is older than what is known; it is not taken over");
        }
    }

    fn changes(&self, changes: Vec<Change>) {
        self.contact();
        let taken_out = self.taken_out(&changes);
        let mut state = self.state();
        let lasting = &mut state.lasting;
        let read: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Put(kv) => self.read(kv, lasting),
                Change::Delete { key, revision } => self.gone(key, *revision, &taken_out, lasting),
            })
            .collect();
        drop(state);
        if self.own.any() {
            for change in &read {
                if let Some((id, sight)) = sight(change) {
                    self.own.seen(&change.service, &id, change.revision, sight);
                }
            }
        }
        self.catalog.apply(read, self.clock.now());
    }

    fn alive(&self) {
        self.contact();
    }

    fn connected(&self, endpoint: &str) {
        self.contact();
        self.catalog.set_freshness(Freshness::Live, self.clock.now());
        let before = self.progress.send_replace(Progress { following: true, error: None });
        if before.following {
            self.catalog.counters().reconnected();
        }
        tracing::info!(endpoint, "following etcd");
    }

    fn lost(&self) {
        tracing::warn!("etcd cannot be reached; what is known stays in force");
        self.catalog.set_freshness(Freshness::Stale { since: SystemTime::now() }, self.clock.now());
    }

    fn failed(&self, error: &EtcdError) {
        self.catalog.counters().failed();
        self.progress.send_modify(|progress| {
            if progress.error.as_ref().map(EtcdError::kind) != Some(error.kind()) {
                tracing::warn!(%error, "following etcd");
            }
            progress.error = Some(error.clone());
        });
    }
}
