//! The drill itself: a sound registry passes it, and one with a flaw fails the rule that is meant for it.
//!
//! Time is virtual: a drill of minutes takes a moment.

mod flawed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flawed::{Flaw, Flawed};
use lb_core::{Instance, ServiceInstance, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;
use lb_testkit::Result;
use lb_testkit::schedule::{Backend, Drill, Failure, Fault, Report, Rule, Settings};

/// A store that is a memory registry. Its faults are only a switch, which a flawed registry looks at.
struct Fake {
    store: MemoryRegistry<Instance>,
    faulty: Arc<AtomicBool>,
}

#[async_trait]
impl Backend for Fake {
    fn faults(&self) -> Vec<Fault> {
        vec![
            Fault::lasting("outage", Duration::from_secs(1)..Duration::from_secs(6)),
            Fault::lasting("long outage", Duration::from_secs(6)..Duration::from_secs(20)),
            Fault::momentary("glitch"),
        ]
    }

    async fn inject(&self, fault: &Fault, _: u64) -> Result<()> {
        if fault.lasts().is_some() {
            self.faulty.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn heal(&self, _: &Fault) -> Result<()> {
        self.faulty.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn listing(&self, service: &str) -> Result<BTreeMap<String, u32>> {
        let held = self.store.instances(service).await.expect("memory does not fail");
        Ok(held.iter().map(|entry| (entry.id().to_owned(), entry.instance.weight())).collect())
    }
}

async fn drill(flaw: Flaw, seed: u64) -> Result<Report, Failure> {
    let fake = Fake { store: MemoryRegistry::new(), faulty: Arc::default() };
    let observer = Flawed::new(fake.store.clone(), flaw, Arc::clone(&fake.faulty));
    let writers: Vec<Arc<dyn ServiceRegistry<Instance>>> = vec![Arc::new(fake.store.clone())];
    let settings = Settings { seed, length: Duration::from_secs(60) };
    Drill::new(Arc::new(observer), writers).run(&fake, settings).await
}

#[tokio::test(start_paused = true)]
async fn a_sound_registry_passes() {
    for seed in 0..3 {
        let report = drill(Flaw::None, seed).await.expect("nothing is wrong with it");
        assert_eq!(report.faults.len(), 3, "every fault happened");
        assert!(report.calls > 10_000, "{} calls", report.calls);
        assert!(report.snapshots > 0, "{} snapshots", report.snapshots);
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_run() {
    let first = drill(Flaw::None, 11).await.expect("sound");
    assert_eq!(drill(Flaw::None, 11).await.expect("sound"), first);
    assert_ne!(drill(Flaw::None, 12).await.expect("sound"), first);
}

/// The rules that a registry with this flaw breaks.
async fn broken_by(flaw: Flaw) -> Vec<Rule> {
    drill(flaw, 3).await.expect_err("it is flawed").rules()
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_becomes_an_empty_list_is_found() {
    let rules = broken_by(Flaw::GoesEmpty).await;
    assert!(rules.contains(&Rule::NeverEmpty) && rules.contains(&Rule::Served), "{rules:?}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_lost_for_good_is_found() {
    assert_eq!(broken_by(Flaw::Loses).await, [Rule::Present, Rule::Converged]);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_comes_back_too_late_is_found() {
    assert_eq!(broken_by(Flaw::FindsLate(Duration::from_secs(12))).await, [Rule::Present]);
    drill(Flaw::FindsLate(Duration::from_secs(4)), 3).await.expect("four seconds are within the bound");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_silently_is_found() {
    assert_eq!(broken_by(Flaw::Freezes).await, [Rule::Converged]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_say_that_it_is_back_is_found() {
    assert_eq!(broken_by(Flaw::StaysStale).await, [Rule::Converged]);
}

#[tokio::test(start_paused = true)]
async fn suspects_that_nobody_clears_are_found() {
    assert_eq!(broken_by(Flaw::SuspectsForEver).await, [Rule::Converged]);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_goes_back_is_found() {
    assert_eq!(broken_by(Flaw::GoesBack).await, [Rule::Monotonic]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_waits_for_the_store_is_found() {
    assert_eq!(broken_by(Flaw::BlocksLookUps).await, [Rule::LookUp]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_found() {
    let rules = broken_by(Flaw::BlocksCalls).await;
    assert!(rules.contains(&Rule::NoWaiting), "{rules:?}");
}

#[tokio::test(start_paused = true)]
async fn an_announcement_that_is_not_kept_is_found() {
    /// Takes an announced instance out, which nobody puts there again.
    struct Forgets(Fake);

    #[async_trait]
    impl Backend for Forgets {
        fn faults(&self) -> Vec<Fault> {
            vec![Fault::momentary("key deleted")]
        }
        async fn inject(&self, _: &Fault, _: u64) -> Result<()> {
            self.0.store.deregister(lb_testkit::schedule::SERVICE, "core-3").await.expect("memory");
            Ok(())
        }
        async fn heal(&self, _: &Fault) -> Result<()> {
            Ok(())
        }
        async fn listing(&self, service: &str) -> Result<BTreeMap<String, u32>> {
            self.0.listing(service).await
        }
    }

    let store = MemoryRegistry::new();
    let backend = Forgets(Fake { store: store.clone(), faulty: Arc::default() });
    let drill = Drill::new(Arc::new(store.clone()), vec![Arc::new(store)]);
    let settings = Settings { seed: 1, length: Duration::from_secs(30) };
    let failure = drill.run(&backend, settings).await.expect_err("nobody keeps it");
    assert_eq!(failure.rules(), [Rule::Present, Rule::Registered]);
    assert!(failure.to_string().contains("LB_FAULT_SEED=1 LB_FAULT_SECONDS=30"), "{failure}");
}
