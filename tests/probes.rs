//! Prequal with probes: the servers say how busy they are, in the background.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadbalance::prelude::*;
use loadbalance::strategy::{
    Aperture, BuiltInStrategies, ClientIndex, Prequal, Priority, ProbeReport, ProbeTarget, ProbedPrequal,
    Strategy, StrategyFactory, Subset,
};
use loadbalance::{CheckFailed, StrategySpec};
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// Servers that know how busy they are.
#[derive(Default)]
struct Servers {
    busy: Mutex<BTreeMap<String, u64>>,
    probed: Mutex<Vec<String>>,
    blocked: AtomicBool,
    panics: AtomicBool,
    running: AtomicUsize,
    peak: AtomicUsize,
}

struct Running<'a>(&'a Servers);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Servers {
    fn set(&self, id: &str, in_flight: u64) {
        self.busy.lock().unwrap().insert(id.into(), in_flight);
    }

    fn probes(&self) -> usize {
        self.probed.lock().unwrap().len()
    }

    async fn ask(&self, server: ProbeTarget<Instance>) -> Result<ProbeReport, CheckFailed> {
        assert_eq!(server.service(), "cart");
        self.probed.lock().unwrap().push(server.id.clone());
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(running, Ordering::Relaxed);
        let _running = Running(self);
        if self.blocked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        assert!(!self.panics.load(Ordering::Relaxed), "a broken probe");
        sleep(MS).await;
        let in_flight = self.busy.lock().unwrap().get(&server.id).copied().unwrap_or(0);
        if in_flight == u64::MAX {
            return Err(CheckFailed::new("connection refused"));
        }
        Ok(ProbeReport::new(in_flight, 10 * MS))
    }
}

fn probed(servers: &Arc<Servers>, rules: Prequal) -> Arc<ProbedPrequal<Instance>> {
    let servers = Arc::clone(servers);
    Arc::new(rules.with_probe(move |server: ProbeTarget<Instance>| {
        let servers = Arc::clone(&servers);
        async move { servers.ask(server).await }
    }))
}

async fn registry(n: usize) -> MemoryRegistry<Instance> {
    let registry = MemoryRegistry::new();
    for i in 0..n {
        registry.register("cart", Instance::new(format!("s{i:02}"))).await.unwrap();
    }
    registry
}

fn balancer(
    registry: &MemoryRegistry<Instance>,
    strategy: impl Strategy<Instance>,
) -> LoadBalancer<Instance> {
    LoadBalancer::builder(registry.clone()).strategy(strategy).seed(7).build()
}

/// Who serves `calls` calls, one every `pause`.
async fn served(lb: &LoadBalancer<Instance>, calls: usize, pause: Duration) -> BTreeMap<String, usize> {
    let mut served = BTreeMap::new();
    for _ in 0..calls {
        let id = lb.execute("cart", async |to| Ok::<_, RequestError>(to.id.clone())).await.unwrap();
        *served.entry(id).or_default() += 1;
        sleep(pause).await;
    }
    served
}

#[tokio::test(start_paused = true)]
async fn the_busiest_are_avoided() {
    for n in [4, 40] {
        let servers = Arc::new(Servers::default());
        // Other clients keep every fourth busy, which this one could not know.
        let is_busy = |id: &str| id[1..].parse::<usize>().unwrap().is_multiple_of(4);
        (0..n).map(|i| format!("s{i:02}")).filter(|id| is_busy(id)).for_each(|id| servers.set(&id, 50));
        let (strategy, registry) = (probed(&servers, Prequal::new().q_rif(0.7)), registry(n).await);
        let lb = balancer(&registry, Arc::clone(&strategy));
        served(&lb, 100, MS).await;
        let shares = served(&lb, 1_000, MS).await;
        let busy: usize = shares.iter().filter(|(id, _)| is_busy(id)).map(|(_, calls)| calls).sum();
        assert!(busy <= 10, "{n}: {busy} of 1000 calls went to the busy: {shares:?}");
        assert!(shares.len() > n / 2, "and the others share: {shares:?}");
        let stats = strategy.probe_stats();
        assert_eq!((stats.failed, servers.peak.load(Ordering::Relaxed) <= 64), (0, true), "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_probes_than_picks_pay_for() {
    for (rate, pause) in [(3.0, MS), (0.5, MS), (5.0, MS), (2.0, 100 * MS)] {
        let servers = Arc::new(Servers::default());
        let registry = registry(50).await;
        let lb = balancer(&registry, probed(&servers, Prequal::new().probe_rate(rate)));
        let start = Instant::now();
        served(&lb, 300, pause).await;
        let idle = start.elapsed().as_secs_f64() * 4.0 + 1.0;
        let (probes, paid) = (servers.probes() as f64, 300.0 * rate);
        assert!(probes <= paid + idle, "{rate}, {pause:?}: {probes} probes");
        assert!(probes >= 0.9 * paid, "{rate}, {pause:?}: {probes} probes");
        // While nobody calls, four a second.
        let before = servers.probes();
        sleep(10_000 * MS).await;
        let idle = servers.probes() - before;
        assert!((20..=41).contains(&idle), "{idle} in ten seconds");
    }
}

#[tokio::test(start_paused = true)]
async fn without_answers_it_is_prequal_without_a_probe() {
    let servers = Arc::new(Servers::default());
    servers.blocked.store(true, Ordering::Relaxed);
    let registry = registry(5).await;
    let probes = probed(&servers, Prequal::new());
    let (with, without) = (balancer(&registry, Arc::clone(&probes)), balancer(&registry, Prequal::new()));
    assert_eq!(served(&with, 500, MS).await, served(&without, 500, MS).await);
    assert!(servers.peak.load(Ordering::Relaxed) <= 64);
    sleep(2_000 * MS).await;
    let stats = probes.probe_stats();
    assert!(stats.answered == 0 && stats.failed > 64 && stats.failed < stats.sent, "{stats:?}");
    // A probe that panics is one that failed, and what comes after it is heard.
    servers.blocked.store(false, Ordering::Relaxed);
    servers.panics.store(true, Ordering::Relaxed);
    sleep(2_000 * MS).await;
    servers.panics.store(false, Ordering::Relaxed);
    assert_eq!(probes.probe_stats().answered, 0);
    sleep(2_000 * MS).await;
    assert!(probes.probe_stats().answered >= 4);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_probed_is_not_held_in_honour_and_not_in_the_way() {
    let servers = Arc::new(Servers::default());
    servers.set("s00", u64::MAX);
    let registry = registry(4).await;
    let probes = probed(&servers, Prequal::new());
    let lb = balancer(&registry, Arc::clone(&probes));
    served(&lb, 100, MS).await;
    let shares = served(&lb, 600, MS).await;
    assert_eq!(shares.get("s00"), None, "the pool has others: {shares:?}");
    assert!(probes.probe_stats().failed > 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_is_not_probed_and_who_comes_is() {
    let servers = Arc::new(Servers::default());
    let registry = registry(3).await;
    let lb = balancer(&registry, probed(&servers, Prequal::new()));
    served(&lb, 100, MS).await;
    registry.deregister("cart", "s01").await.unwrap();
    registry.register("cart", Instance::new("s99")).await.unwrap();
    sleep(10 * MS).await;
    servers.probed.lock().unwrap().clear();
    let shares = served(&lb, 300, MS).await;
    let probed = servers.probed.lock().unwrap().clone();
    assert!(!shares.contains_key("s01") && shares["s99"] > 50, "{shares:?}");
    assert!(!probed.contains(&"s01".into()) && probed.contains(&"s99".into()));
}

#[tokio::test(start_paused = true)]
async fn probing_ends_with_the_service_and_with_the_strategy() {
    let servers = Arc::new(Servers::default());
    let registry = registry(3).await;
    let strategy = probed(&servers, Prequal::new());
    let named = Arc::clone(&strategy);
    let factory = move |spec: &StrategySpec| -> Result<Arc<dyn Strategy<Instance>>, _> {
        if spec.name == Prequal::NAME {
            return Ok(Arc::clone(&named) as Arc<dyn Strategy<Instance>>);
        }
        BuiltInStrategies.build(spec)
    };
    let lb = LoadBalancer::builder(registry.clone()).strategy_factory(factory).seed(7).build();
    let name = async |name: &str| {
        let config = ServiceConfig::builder().strategy(StrategySpec::new(name)).build().unwrap();
        registry.set_config("cart", config).await.unwrap();
        sleep(MS).await;
    };
    let probes = async || {
        let before = servers.probes();
        sleep(1_000 * MS).await;
        servers.probes() - before
    };
    served(&lb, 10, MS).await;
    assert_eq!(probes().await, 0, "another strategy is in force");
    name("prequal").await;
    assert!(probes().await >= 3);
    // Probes that are on their way are given up.
    servers.blocked.store(true, Ordering::Relaxed);
    served(&lb, 200, MS).await;
    assert!(servers.running.load(Ordering::Relaxed) > 0);
    name("round_robin").await;
    assert_eq!((servers.running.load(Ordering::Relaxed), probes().await), (0, 0));
    name("prequal").await;
    served(&lb, 200, MS).await;
    assert!(servers.running.load(Ordering::Relaxed) > 0);
    drop(lb);
    sleep(MS).await;
    assert_eq!((servers.running.load(Ordering::Relaxed), probes().await), (0, 0));
    // Nobody keeps the members alive but the strategy's own owners.
    assert_eq!(Arc::strong_count(&strategy), 1);
}

#[tokio::test(start_paused = true)]
async fn it_works_inside_of_others() {
    type Wrap = fn(Arc<ProbedPrequal<Instance>>) -> Box<dyn Strategy<Instance>>;
    let wrap: [Wrap; 3] = [
        |inner| Box::new(Priority::new(inner)),
        |inner| Box::new(Subset::of_number(ClientIndex::new(0, 2).unwrap(), inner).size(6)),
        |inner| Box::new(Aperture::new(ClientIndex::new(0, 2).unwrap(), inner).min(6)),
    ];
    for wrap in wrap {
        let servers = Arc::new(Servers::default());
        let strategy = wrap(probed(&servers, Prequal::new().q_rif(0.5)));
        let name = strategy.name().to_owned();
        let registry = registry(8).await;
        let lb = balancer(&registry, strategy);
        let usual = served(&lb, 500, MS).await;
        let most = usual.iter().max_by_key(|(_, calls)| **calls).unwrap().0.clone();
        servers.set(&most, 500);
        served(&lb, 100, MS).await;
        let shares = served(&lb, 500, MS).await;
        let part = shares.get(&most).copied().unwrap_or(0);
        assert!(part <= 10, "{name}: {part} of 500 calls went to the busy one");
    }
}
