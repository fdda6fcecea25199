//! How long it takes until what is known is right again, per fault.

use std::time::Duration;

use lb_core::registry::{Freshness, InstanceState, Snapshot, SnapshotWatch};
use lb_core::{Instance, ServiceConfig, ServiceRegistry};
use lb_registry_etcd::EtcdRegistry;
use lb_testkit::etcd::{EtcdCluster, EtcdServer};
use lb_testkit::{Proxy, ProxyMode};
use tokio::time::Instant;

use crate::{Registry, row};

const TTL: Duration = Duration::from_secs(5);
const ROUNDS: u32 = 3;

async fn connect(urls: Vec<String>) -> Registry {
    EtcdRegistry::builder(urls).ttl(TTL).connect().await.unwrap()
}

async fn until(watch: &mut SnapshotWatch<Instance>, right: impl Fn(&Snapshot<Instance>) -> bool) {
    let waiting = async {
        while !right(&watch.current()) {
            watch.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it does not recover");
}

fn retries(snapshot: &Snapshot<Instance>) -> Option<u32> {
    Some(snapshot.config.as_ref()?.config.max_retries())
}

fn config(retries: u32) -> ServiceConfig {
    ServiceConfig::builder().max_retries(retries).build().unwrap()
}

fn all_well(snapshot: &Snapshot<Instance>) -> bool {
    let ready = |entry: &lb_core::registry::Entry<Instance>| entry.state == InstanceState::Ready;
    snapshot.freshness == Freshness::Live
        && snapshot.entries.len() == 3
        && snapshot.entries.iter().all(|entry| ready(entry))
}

fn report(what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    row(what, format!("{:.2?} (worst {:.2?})", samples[samples.len() / 2], samples[samples.len() - 1]));
}

pub(crate) async fn measure() {
    on_one().await;
    on_three().await;
}

async fn on_one() {
    let etcd = EtcdServer::start().await.unwrap();
    let proxy = Proxy::start(etcd.client_address()).await.unwrap();
    let owner = connect(vec![etcd.client_url()]).await;
    let reader = connect(vec![format!("http://{}", proxy.address())]).await;
    let mut watch = reader.watch("s").await.unwrap();
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        kept.push(owner.announce("s", Instance::new(id)).await.unwrap());
    }
    until(&mut watch, all_well).await;

    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        etcd.kill9();
        tokio::time::sleep(Duration::from_secs(2)).await;
        etcd.restart().await.unwrap();
        let start = Instant::now();
        until(&mut watch, all_well).await;
        samples.push(start.elapsed());
    }
    report("killed and restarted: live again after it is up", samples);

    let mut samples = Vec::new();
    for round in 0..ROUNDS {
        proxy.reset_all();
        let start = Instant::now();
        owner.set_config("s", config(round)).await.unwrap();
        until(&mut watch, |s| retries(s) == Some(round)).await;
        samples.push(start.elapsed());
    }
    report("connection reset: a write at that moment is seen", samples);

    let mut samples = Vec::new();
    for round in 100..100 + ROUNDS {
        proxy.set(ProxyMode::RefuseNew);
        proxy.reset_all();
        owner.set_config("s", config(round)).await.unwrap();
        etcd.compact().await.unwrap();
        proxy.set(ProxyMode::Pass);
        let start = Instant::now();
        until(&mut watch, |s| retries(s) == Some(round)).await;
        samples.push(start.elapsed());
    }
    report("compacted while away: right after it can be reached", samples);

    let mut samples = Vec::new();
    for round in 1..=ROUNDS {
        let list = etcd.etcdctl(&["lease", "list"]).await.unwrap();
        let lease = list.lines().nth(1).unwrap().trim().to_owned();
        let start = Instant::now();
        etcd.etcdctl(&["lease", "revoke", &lease]).await.unwrap();
        while owner.status().re_registrations < u64::from(round) * 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        until(&mut watch, all_well).await;
        samples.push(start.elapsed());
    }
    report("lease revoked: all are registered and seen again", samples);

    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        etcd.wipe().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        etcd.restart().await.unwrap();
        let start = Instant::now();
        until(&mut watch, all_well).await;
        samples.push(start.elapsed());
    }
    report("all data lost: all are registered and seen again, after it is up", samples);
}

async fn on_three() {
    let cluster = EtcdCluster::start().await.unwrap();
    let (owner, reader) = (connect(cluster.client_urls()).await, connect(cluster.client_urls()).await);
    let mut watch = reader.watch("s").await.unwrap();
    let mut kept = Vec::new();
    for id in ["a", "b", "c"] {
        kept.push(owner.announce("s", Instance::new(id)).await.unwrap());
    }
    until(&mut watch, all_well).await;

    let mut samples = Vec::new();
    for round in 0..ROUNDS {
        cluster.leader().await.unwrap().kill9();
        let start = Instant::now();
        owner.set_config("s", config(round)).await.unwrap();
        until(&mut watch, |s| retries(s) == Some(round)).await;
        samples.push(start.elapsed());
        cluster.heal().await.unwrap();
        until(&mut watch, all_well).await;
    }
    report("leader killed: a write at that moment is done and seen", samples);

    let mut samples = Vec::new();
    for (round, member) in (100..).zip(cluster.members()) {
        if member.is_leader().await {
            continue;
        }
        member.stop();
        let start = Instant::now();
        owner.set_config("s", config(round)).await.unwrap();
        until(&mut watch, |s| retries(s) == Some(round)).await;
        samples.push(start.elapsed());
        member.cont();
        cluster.heal().await.unwrap();
    }
    report("a follower hangs: a write at that moment is done and seen", samples);

    let mut samples = Vec::new();
    for _ in 0..ROUNDS {
        cluster.lose_quorum().await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        cluster.heal().await.unwrap();
        let start = Instant::now();
        until(&mut watch, all_well).await;
        samples.push(start.elapsed());
    }
    report("quorum lost: live again after it is back", samples);
}
