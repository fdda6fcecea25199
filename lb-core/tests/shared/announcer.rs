//! The task that keeps announcements, with a store that can be made to fail; and a whole registry made of the parts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lb_core::registry::shared::{
    Action, AnnouncementStore, Announcer, Answer, Catalog, CatalogOptions, Generation, Hint, HintKind,
    KeeperOptions, Leases, Step, Ticket,
};
use lb_core::registry::{InstanceState, RegistryError};
use lb_core::{Instance, ThreadRandom};

#[derive(Default)]
struct Inner {
    keys: BTreeMap<String, (Generation, InstanceState, u32)>,
    away: bool,
    silent: bool,
    steps: usize,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Inner>>);

impl Store {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap())
    }

    fn state(&self, id: &str) -> Option<InstanceState> {
        self.with(|inner| inner.keys.get(id).map(|key| key.1))
    }

    fn weight(&self, id: &str) -> Option<u32> {
        self.with(|inner| inner.keys.get(id).map(|key| key.2))
    }
}

#[async_trait]
impl AnnouncementStore<Instance> for Store {
    async fn perform(&self, steps: Vec<Step<Instance>>) -> Vec<(Ticket, Answer)> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.with(|inner| {
            inner.steps += steps.len();
            if inner.silent {
                return Vec::new();
            }
            let answers = steps.into_iter().map(|step| {
                let away = || Answer::Failed(RegistryError::backend("announce", "s", "away"));
                let answer = match step.action {
                    _ if inner.away => away(),
                    Action::Put { of, record, takes_over } => match inner.keys.get(&*of.id) {
                        Some(key) if !takes_over && key.0.owner() != of.generation.owner() => Answer::Taken,
                        _ => {
                            let key = (of.generation, record.state, record.instance.weight);
                            inner.keys.insert(of.id.to_string(), key);
                            Answer::DONE
                        }
                    },
                    Action::Beat(of) => match inner.keys.get(&*of.id) {
                        None => Answer::Lost,
                        Some(key) if key.0.owner() != of.generation.owner() => Answer::Taken,
                        Some(_) => Answer::DONE,
                    },
                    Action::Delete(of) => {
                        if inner.keys.get(&*of.id).is_some_and(|key| key.0.owner() == of.generation.owner()) {
                            inner.keys.remove(&*of.id);
                        }
                        Answer::DONE
                    }
                    _ => Answer::DONE,
                };
                (step.ticket, answer)
            });
            answers.collect()
        })
    }
}

struct Rig {
    store: Store,
    announcer: Announcer<Instance>,
    catalog: Catalog<Instance>,
}

fn rig() -> Rig {
    let store = Store::default();
    let catalog = Catalog::new(CatalogOptions::default(), SystemTime::UNIX_EPOCH);
    let options = KeeperOptions::new(Leases::Each, Duration::from_secs(15));
    let announcer = Announcer::spawn(store.clone(), options, catalog.clone(), Arc::new(ThreadRandom));
    Rig { store, announcer, catalog }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn an_announcement_lives_and_leaves() {
    let Rig { store, announcer, catalog } = rig();
    let mut announcement = announcer.announce("s", Instance::new("a")).await.unwrap();
    assert_eq!((store.state("a"), catalog.status().announced), (Some(InstanceState::Ready), 1));
    announcement.update(Instance::new("a").with_weight(5)).await.unwrap();
    assert_eq!(store.weight("a"), Some(5));
    assert!(announcement.update(Instance::new("b")).await.is_err());

    let leaving = tokio::spawn(announcement.leave(Duration::from_secs(30)));
    pass(10).await;
    assert_eq!(store.state("a"), Some(InstanceState::Draining));
    leaving.await.unwrap().unwrap();
    assert_eq!((store.state("a"), catalog.status().announced), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_loses_is_written_again() {
    let Rig { store, announcer, catalog } = rig();
    let _announcement = announcer.announce("s", Instance::new("a")).await.unwrap();
    store.with(|inner| inner.keys.clear());
    pass(6).await;
    assert_eq!((store.state("a"), catalog.status().re_registrations), (Some(InstanceState::Ready), 1));
    store.with(|inner| inner.keys.clear());
    announcer.hint(Hint::new("s", "a", 7, HintKind::Gone));
    pass(1).await;
    assert_eq!(store.state("a"), Some(InstanceState::Ready));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_an_error_at_once_and_made_good_later() {
    let Rig { store, announcer, catalog } = rig();
    let mut kept = announcer.announce("s", Instance::new("a")).await.unwrap();
    store.with(|inner| inner.away = true);
    assert!(announcer.announce("s", Instance::new("b")).await.is_err());
    assert!(kept.update(Instance::new("a").with_weight(9)).await.is_err());
    pass(60).await;
    assert!(catalog.status().errors > 10);
    store.with(|inner| inner.away = false);
    pass(6).await;
    assert_eq!((store.weight("a"), store.state("b")), (Some(9), None));
}

#[tokio::test(start_paused = true)]
async fn leaving_in_an_outage_still_gives_grace() {
    let Rig { store, announcer, .. } = rig();
    let announcement = announcer.announce("s", Instance::new("a")).await.unwrap();
    store.with(|inner| inner.away = true);
    let start = tokio::time::Instant::now();
    assert!(announcement.leave(Duration::from_secs(20)).await.is_err());
    assert!(start.elapsed() >= Duration::from_secs(20));
    store.with(|inner| inner.away = false);
    pass(6).await;
    assert_eq!(store.state("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_counts_as_failed() {
    let Rig { store, announcer, .. } = rig();
    store.with(|inner| inner.silent = true);
    let error = announcer.announce("s", Instance::new("a")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Backend { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_announcement_is_taken_back() {
    let Rig { store, announcer, .. } = rig();
    for millis in 0..4 {
        let announcing = announcer.announce("s", Instance::new("a"));
        let _ = tokio::time::timeout(Duration::from_millis(millis), announcing).await;
        pass(6).await;
        assert_eq!(store.state("a"), None, "cancelled after {millis} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn who_announces_later_owns_the_id() {
    let Rig { store, announcer, .. } = rig();
    let mut first = announcer.announce("s", Instance::new("a").with_weight(1)).await.unwrap();
    let second = announcer.announce("s", Instance::new("a").with_weight(2)).await.unwrap();
    assert!(matches!(first.update(Instance::new("a")).await, Err(RegistryError::InvalidInstance { .. })));
    first.leave(Duration::ZERO).await.unwrap();
    pass(20).await;
    assert_eq!(store.weight("a"), Some(2));
    drop(second);
    pass(1).await;
    assert_eq!(store.state("a"), None);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_took_out_stays_out() {
    let Rig { store, announcer, .. } = rig();
    let mut announcement = announcer.announce("s", Instance::new("a")).await.unwrap();
    store.with(|inner| inner.keys.clear());
    announcer.hint(Hint::new("s", "a", 7, HintKind::Deregistered));
    pass(60).await;
    assert_eq!(store.state("a"), None);
    let error = announcement.update(Instance::new("a")).await.unwrap_err();
    assert!(matches!(error, RegistryError::UnknownInstance { .. }));
    announcement.leave(Duration::ZERO).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_nobody_holds_anything() {
    let Rig { store, announcer, catalog } = rig();
    let mut watch = catalog.watch("s");
    let announcement = announcer.announce("s", Instance::new("a")).await.unwrap();
    drop((announcer, catalog));
    pass(60).await;
    assert_eq!(store.state("a"), Some(InstanceState::Ready), "an announcement keeps itself alive");
    drop(announcement);
    // The catalog is held by the task alone.
    assert!(watch.changed().await.is_err());
    assert_eq!(store.state("a"), None);
    let steps = store.with(|inner| inner.steps);
    pass(60).await;
    assert_eq!(store.with(|inner| inner.steps), steps);
}

#[test]
fn dropping_needs_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (announcement, announcer) = runtime.block_on(async {
        let Rig { announcer, .. } = rig();
        (announcer.announce("s", Instance::new("a")).await.unwrap(), announcer)
    });
    drop(runtime);
    drop(announcement);
    drop(announcer);
}
