//! Random scripts of writes leave the registry as they leave a plain map.

mod model;
mod ready;

use std::sync::Arc;
use std::time::Duration;

use lb_core::registry::{Announcement, Override, RegistryError, Revision, Snapshot, SnapshotWatch};
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use model::{Model, Rows};
use proptest::prelude::*;
use ready::now;

const SERVICES: [&str; 3] = ["s", "s/t", "u"];
const IDS: [&str; 4] = ["a", "a/b", "b", "c"];

/// One step of a script. Services, ids and announcements are indices; those of announcements wrap around.
#[derive(Clone, Debug)]
enum Step {
    Register(usize, usize),
    Deregister(usize, usize),
    Override(usize, usize, Override),
    SetConfig(usize),
    /// Expecting the revision in force, one that is not, or none.
    CompareAndSet(usize, Expected),
    RemoveConfig(usize),
    ReplaceAll(usize, Vec<usize>),
    Reconcile(usize, Vec<usize>),
    Announce(usize, usize),
    Update(usize),
    Leave(usize),
    Drop(usize),
    Watch(usize),
    Unwatch(usize),
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    InForce,
    Another,
    None,
}

fn step() -> impl Strategy<Value = Step> {
    let service = 0..SERVICES.len();
    let id = 0..IDS.len();
    let pair = (service.clone(), id.clone());
    let list = (service.clone(), proptest::collection::vec(id, 0..6));
    let over =
        prop_oneof![Just(Override::NONE), Just(Override::drain()), (0..3_u32).prop_map(Override::weight)];
    let expected = prop_oneof![Just(Expected::InForce), Just(Expected::Another), Just(Expected::None)];
    prop_oneof![
        4 => pair.clone().prop_map(|(s, i)| Step::Register(s, i)),
        3 => pair.clone().prop_map(|(s, i)| Step::Deregister(s, i)),
        4 => (pair.clone(), over).prop_map(|((s, i), over)| Step::Override(s, i, over)),
        1 => service.clone().prop_map(Step::SetConfig),
        3 => (service.clone(), expected).prop_map(|(s, expected)| Step::CompareAndSet(s, expected)),
        2 => service.clone().prop_map(Step::RemoveConfig),
        1 => list.clone().prop_map(|(s, ids)| Step::ReplaceAll(s, ids)),
        2 => list.prop_map(|(s, ids)| Step::Reconcile(s, ids)),
        4 => pair.prop_map(|(s, i)| Step::Announce(s, i)),
        2 => (0..8_usize).prop_map(Step::Update),
        2 => (0..8_usize).prop_map(Step::Leave),
        2 => (0..8_usize).prop_map(Step::Drop),
        1 => service.clone().prop_map(Step::Watch),
        1 => service.prop_map(Step::Unwatch),
    ]
}

/// The registry and the model beside it.
#[derive(Default)]
struct Both {
    registry: MemoryRegistry<Instance>,
    model: Model,
    /// Each with its service, and the step that wrote what it owns.
    announcements: Vec<(Announcement<Instance>, &'static str, u32)>,
    watches: Vec<(&'static str, SnapshotWatch<Instance>)>,
    step: u32,
}

impl Both {
    /// An instance that no other step writes.
    fn instance(&self, id: usize) -> Instance {
        Instance::new(IDS[id]).with_metadata("step", self.step.to_string())
    }

    /// A configuration that no other step writes.
    fn config(&self) -> ServiceConfig {
        ServiceConfig::builder().max_retries(self.step).build().unwrap()
    }

    fn owned(&mut self, n: usize) -> Option<(usize, bool)> {
        let n = n.checked_rem(self.announcements.len())?;
        let (announcement, service, written) = &self.announcements[n];
        let (id, service, written) = (announcement.id().to_owned(), *service, *written);
        let row = self.model.service(service).instances.get(&id);
        Some((n, row.is_some_and(|row| row.written == written)))
    }

    fn take(&mut self, step: &Step) {
        self.step += 1;
        let (registry, written) = (self.registry.clone(), self.step);
        match *step {
            Step::Register(s, i) => {
                now(registry.register(SERVICES[s], self.instance(i))).unwrap();
                let instance = self.instance(i);
                self.model.service(SERVICES[s]).put(instance, written);
            }
            Step::Deregister(s, i) => {
                let removed = self.model.service(SERVICES[s]).instances.remove(IDS[i]);
                assert_eq!(now(registry.deregister(SERVICES[s], IDS[i])).unwrap(), removed.is_some());
            }
            Step::Override(s, i, over) => {
                let result = now(registry.set_override(SERVICES[s], IDS[i], over));
                match self.model.service(SERVICES[s]).instances.get_mut(IDS[i]) {
                    Some(row) => row.over = over,
                    None => assert!(matches!(result, Err(RegistryError::UnknownInstance { .. }))),
                }
            }
            Step::SetConfig(s) => {
                now(registry.set_config(SERVICES[s], self.config())).unwrap();
                self.model.service(SERVICES[s]).config = Some((self.config(), written));
            }
            Step::CompareAndSet(s, expected) => {
                let found = now(registry.config(SERVICES[s])).unwrap();
                let actual = found.map_or(Revision::NONE, |entry| entry.revision);
                let expected = match expected {
                    Expected::InForce => actual,
                    Expected::Another => Revision::new(actual.get() + 1),
                    Expected::None => Revision::NONE,
                };
                let result = now(registry.compare_and_set_config(SERVICES[s], expected, self.config()));
                if expected == actual {
                    result.unwrap();
                    self.model.service(SERVICES[s]).config = Some((self.config(), written));
                } else {
                    assert!(matches!(result, Err(RegistryError::Conflict { actual: a, .. }) if a == actual));
                }
            }
            Step::RemoveConfig(s) => {
                let removed = self.model.service(SERVICES[s]).config.take();
                assert_eq!(now(registry.remove_config(SERVICES[s])).unwrap(), removed.is_some());
            }
            Step::ReplaceAll(s, ref ids) => {
                let list: Vec<_> = ids.iter().map(|&i| self.instance(i)).collect();
                let result = registry.replace_all(SERVICES[s], list.clone());
                self.write_list(SERVICES[s], list, result);
            }
            Step::Reconcile(s, ref ids) => {
                // Every second id as it is, if it is there.
                let rows = self.model.service(SERVICES[s]).instances.clone();
                let same = |i: usize| {
                    rows.get(IDS[i]).filter(|_| i.is_multiple_of(2)).map(|row| row.instance.clone())
                };
                let list: Vec<_> = ids.iter().map(|&i| same(i).unwrap_or_else(|| self.instance(i))).collect();
                let result = registry.reconcile(SERVICES[s], list.clone());
                self.write_list(SERVICES[s], list, result);
            }
            Step::Announce(s, i) => {
                let announcement = now(registry.announce(SERVICES[s], self.instance(i))).unwrap();
                let instance = self.instance(i);
                self.model.service(SERVICES[s]).put(instance, written);
                self.announcements.push((announcement, SERVICES[s], written));
            }
            Step::Update(n) => {
                let Some((n, owned)) = self.owned(n) else { return };
                let step = self.step.to_string();
                let (announcement, service, wrote) = &mut self.announcements[n];
                let instance = Instance::new(announcement.id()).with_metadata("step", step);
                assert_eq!(now(announcement.update(instance.clone())).is_ok(), owned);
                if owned {
                    *wrote = written;
                    self.model.service(service).put(instance, written);
                }
            }
            Step::Leave(n) | Step::Drop(n) => {
                let Some((n, owned)) = self.owned(n) else { return };
                let (announcement, service, _) = self.announcements.swap_remove(n);
                if owned {
                    self.model.service(service).instances.remove(announcement.id());
                }
                if matches!(step, Step::Leave(_)) {
                    now(announcement.leave(Duration::ZERO)).unwrap();
                }
            }
            Step::Watch(s) => self.watches.push((SERVICES[s], now(registry.watch(SERVICES[s])).unwrap())),
            Step::Unwatch(s) => self.watches.retain(|(service, _)| *service != SERVICES[s]),
        }
    }

    fn write_list(&mut self, service: &'static str, list: Vec<Instance>, result: Result<(), RegistryError>) {
        let mut ids: Vec<_> = list.iter().map(|instance| instance.id.clone()).collect();
        ids.sort();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            assert!(matches!(result, Err(RegistryError::InvalidInstance { .. })));
            return;
        }
        result.unwrap();
        let (rows, written) = (self.model.service(service), self.step);
        rows.instances.retain(|id, _| ids.contains(id));
        for instance in list {
            if rows.instances.get(&instance.id).is_none_or(|row| row.instance != instance) {
                rows.put(instance, written);
            }
        }
    }

    /// Checks everything that can be read against the model.
    fn check(&mut self) {
        assert_eq!(now(self.registry.services()).unwrap(), self.model.known());
        for service in SERVICES {
            let snapshot = self.snapshot(service);
            let rows = self.model.service(service);
            assert!(rows.agrees(&snapshot), "{service:?}: {rows:?} is not {snapshot:?}");
            let entries = now(self.registry.instances(service)).unwrap();
            assert!(entries.iter().eq(snapshot.entries.iter()));
            assert_eq!(now(self.registry.config(service)).unwrap(), snapshot.config);
        }
        for (service, watch) in &self.watches {
            let rows = self.model.service(service);
            assert!(rows.agrees(&watch.current()), "a watch of {service:?} does not see the last write");
        }
        let mut held: Vec<String> = self.watches.iter().map(|(service, _)| (*service).to_owned()).collect();
        held.extend(self.model.known());
        held.sort();
        held.dedup();
        let in_memory = format!("MemoryRegistry {{ services: {}, .. }}", held.len());
        assert_eq!(format!("{:?}", self.registry), in_memory, "only {held:?} are known or watched");
    }

    fn snapshot(&self, service: &str) -> Arc<Snapshot<Instance>> {
        now(self.registry.watch(service)).unwrap().current()
    }
}

/// Checks what two snapshots, one step apart, share.
fn compare(rows: (&Rows, &Rows), snapshots: (&Snapshot<Instance>, &Snapshot<Instance>)) {
    for (id, row) in &rows.1.instances {
        let Some(former) = rows.0.instances.get(id) else { continue };
        let (old, new) = (snapshots.0.entries.get(id).unwrap(), snapshots.1.entries.get(id).unwrap());
        if former == row {
            assert!(Arc::ptr_eq(old, new), "{id:?} did not change, but is another entry");
        } else if former.written == row.written {
            assert!(Arc::ptr_eq(&old.instance, &new.instance), "an override of {id:?} changed its instance");
            assert_eq!(old.revision, new.revision, "an override of {id:?} changed its revision");
        } else {
            assert!(new.revision > old.revision, "{id:?} was written, but its revision has not grown");
        }
    }
    // A service that nobody knows or watches is forgotten, with its revision.
    if !snapshots.1.is_known() {
        return;
    }
    let grown = snapshots.1.revision > snapshots.0.revision;
    assert_eq!(grown, rows.0 != rows.1, "the revision must grow with a write, and only then");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_registry_is_a_map(script in proptest::collection::vec(step(), 1..60)) {
        let mut both = Both::default();
        for step in &script {
            let before: Vec<_> = SERVICES.map(|s| (both.model.service(s).clone(), both.snapshot(s))).into();
            both.take(step);
            both.check();
            for (service, (rows, snapshot)) in SERVICES.into_iter().zip(&before) {
                let after = both.snapshot(service);
                compare((rows, both.model.service(service)), (snapshot, &after));
            }
        }
        // Whatever happened: without watches and with everything taken out, nothing is left.
        both.watches.clear();
        both.announcements.clear();
        for service in SERVICES {
            both.registry.replace_all(service, []).unwrap();
            now(both.registry.remove_config(service)).unwrap();
        }
        prop_assert_eq!(format!("{:?}", both.registry), "MemoryRegistry { services: 0, .. }");
    }
}
