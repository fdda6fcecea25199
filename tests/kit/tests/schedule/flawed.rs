//! Registries with one flaw each: they mirror a sound one, and do something wrong while a fault is in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lb_core::registry::{
    Announcement, Entries, Entry, Freshness, InstanceState, Override, Publisher, RegistryError, Revision,
    Snapshot, SnapshotWatch,
};
use lb_core::{Instance, Limits, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

/// What is wrong with a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// While the store is away, the list is empty.
    GoesEmpty,
    /// After an outage, an instance is missing for good.
    Loses,
    /// After an outage, an instance is missing for a while.
    FindsLate(Duration),
    /// After an outage, changes are not seen any more.
    Freezes,
    /// After an outage, the snapshot stays stale.
    StaysStale,
    /// After an outage, everybody stays suspect.
    SuspectsForEver,
    /// While the store is away, the revision is an older one.
    GoesBack,
    /// While the store is away, a watch is given when it is back.
    BlocksLookUps,
    /// While the store is away, instances have a quota that is spent at once.
    BlocksCalls,
}

/// A mirror of the registry within.
pub(crate) struct Flawed {
    within: MemoryRegistry<Instance>,
    flaw: Flaw,
    faulty: Arc<AtomicBool>,
    mirror: OnceCell<Arc<Publisher<Instance>>>,
}

impl Flawed {
    pub(crate) fn new(within: MemoryRegistry<Instance>, flaw: Flaw, faulty: Arc<AtomicBool>) -> Self {
        Self { within, flaw, faulty, mirror: OnceCell::new() }
    }

    async fn mirror(&self, service: &str) -> Result<&Arc<Publisher<Instance>>, RegistryError> {
        self.mirror
            .get_or_try_init(async || {
                let watch = self.within.watch(service).await?;
                let publisher = Arc::new(Publisher::new((*watch.current()).clone()));
                tokio::spawn(follow(watch, Arc::clone(&publisher), self.flaw, Arc::clone(&self.faulty)));
                Ok(publisher)
            })
            .await
    }
}

async fn follow(
    watch: SnapshotWatch<Instance>,
    publisher: Arc<Publisher<Instance>>,
    flaw: Flaw,
    faulty: Arc<AtomicBool>,
) {
    let mut was_faulty = false;
    let mut healed: Option<Instant> = None;
    let mut last = publisher.latest();
    loop {
        let is_faulty = faulty.load(Ordering::SeqCst);
        if was_faulty && !is_faulty {
            healed = Some(Instant::now());
        }
        was_faulty = is_faulty;
        let sound = watch.current();
        let shown = show(flaw, &sound, is_faulty, healed, &last);
        // A snapshot that is the same is not published again.
        if shown.revision != last.revision
            || shown.freshness != last.freshness
            || shown.entries.len() != last.entries.len()
            || shown.entries.iter().ne(last.entries.iter())
        {
            last = Arc::new(shown);
            publisher.publish(Arc::clone(&last));
            publisher.apply();
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// What a registry with this flaw makes of a sound snapshot.
fn show(
    flaw: Flaw,
    sound: &Snapshot<Instance>,
    is_faulty: bool,
    healed: Option<Instant>,
    last: &Snapshot<Instance>,
) -> Snapshot<Instance> {
    let mut shown = sound.clone();
    let after = healed.is_some() && !is_faulty;
    match flaw {
        Flaw::GoesEmpty if is_faulty => shown.entries = Entries::default(),
        Flaw::Loses if after => {
            shown.entries.remove("core-2");
        }
        Flaw::FindsLate(late) if after && healed.is_some_and(|healed| healed.elapsed() < late) => {
            shown.entries.remove("core-2");
        }
        Flaw::Freezes if is_faulty || after => shown = last.clone(),
        Flaw::StaysStale if is_faulty || after => {
            shown.freshness = Freshness::Stale { since: SystemTime::UNIX_EPOCH };
        }
        Flaw::SuspectsForEver if after => {
            shown.entries = mapped(sound, |entry| entry.clone().with_state(InstanceState::Suspect));
        }
        Flaw::GoesBack if is_faulty => shown.revision = Revision::new(1),
        Flaw::BlocksCalls if is_faulty => {
            shown.entries = mapped(sound, |entry| {
                let limits = Limits::NONE.requests_per_minute(1);
                Entry::new((*entry.instance).clone().with_limits(limits), entry.revision)
            });
        }
        _ => {}
    }
    shown
}

fn mapped(
    snapshot: &Snapshot<Instance>,
    map: impl Fn(&Entry<Instance>) -> Entry<Instance>,
) -> Entries<Instance> {
    snapshot.entries.iter().map(|entry| Arc::new(map(entry))).collect()
}

#[async_trait]
impl ServiceRegistry<Instance> for Flawed {
    async fn watch(&self, service: &str) -> Result<SnapshotWatch<Instance>, RegistryError> {
        while self.flaw == Flaw::BlocksLookUps && self.faulty.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(self.mirror(service).await?.watch())
    }

    // A drill writes through others.

    async fn register(&self, service: &str, instance: Instance) -> Result<(), RegistryError> {
        self.within.register(service, instance).await
    }
    async fn announce(
        &self,
        service: &str,
        instance: Instance,
    ) -> Result<Announcement<Instance>, RegistryError> {
        self.within.announce(service, instance).await
    }
    async fn deregister(&self, service: &str, id: &str) -> Result<bool, RegistryError> {
        self.within.deregister(service, id).await
    }
    async fn set_override(&self, service: &str, id: &str, over: Override) -> Result<(), RegistryError> {
        self.within.set_override(service, id, over).await
    }
    async fn set_config(&self, service: &str, config: ServiceConfig) -> Result<(), RegistryError> {
        self.within.set_config(service, config).await
    }
    async fn compare_and_set_config(
        &self,
        service: &str,
        expected: Revision,
        config: ServiceConfig,
    ) -> Result<(), RegistryError> {
        self.within.compare_and_set_config(service, expected, config).await
    }
    async fn remove_config(&self, service: &str) -> Result<bool, RegistryError> {
        self.within.remove_config(service).await
    }
    async fn services(&self) -> Result<Vec<String>, RegistryError> {
        self.within.services().await
    }
}
