//! Random sequences of faults, on one member and on three.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lb_core::{Instance, ServiceRegistry};
use lb_testkit::etcd::{EtcdCluster, EtcdOptions, EtcdServer, SavedData};
use lb_testkit::schedule::{Backend, Bounds, Drill, Fault, Settings};
use lb_testkit::{Error, Proxy, ProxyMode, Result};

use crate::world::{GRACE, World, builder, failed, key, listing, proxied};

/// Servers, and the proxies through which the observer reaches them. Who writes does so directly.
struct Etcd {
    cluster: EtcdCluster,
    proxies: Vec<Proxy>,
    saved: Mutex<Vec<SavedData>>,
    /// Whether whoever asks must say who they are.
    guarded: AtomicBool,
}

const fn between(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

impl Etcd {
    fn member(&self, choice: u64) -> &EtcdServer {
        let members = self.cluster.members();
        &members[choice as usize % members.len()]
    }

    fn set(&self, mode: ProxyMode) {
        self.proxies.iter().for_each(|proxy| proxy.set(mode));
    }

    /// As root, if that matters now.
    async fn etcdctl(&self, args: &[&str]) -> Result<String> {
        self.through(self.member(0), args).await
    }

    async fn through(&self, member: &EtcdServer, args: &[&str]) -> Result<String> {
        if !self.guarded.load(Ordering::Relaxed) {
            return member.etcdctl(args).await;
        }
        member.etcdctl(&[&["--user", "root:rootpw"], args].concat()).await
    }

    /// Whoever asks must say who they are from now on, and do so again every two seconds. The users may be lost with the
    /// data, and may be there from the last time.
    async fn guard(&self) -> Result<()> {
        for args in [
            &["user", "add", "root:rootpw"][..],
            &["user", "grant-role", "root", "root"],
            &["user", "add", "app:apppw"],
            &["role", "add", "app"],
            &["role", "grant-permission", "app", "--prefix=true", "readwrite", "lb/"],
            &["user", "grant-role", "app", "app"],
        ] {
            let there = |error: &Error| error.to_string().contains("already exists");
            match self.cluster.etcdctl(args).await {
                Err(error) if !there(&error) => return Err(error),
                _ => {}
            }
        }
        self.cluster.etcdctl(&["auth", "enable"]).await?;
        self.guarded.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn no_guard(&self) -> Result<()> {
        match self.etcdctl(&["auth", "disable"]).await {
            // Lost with the data.
            Err(error) if !error.to_string().contains("not enabled") => return Err(error),
            _ => {}
        }
        self.guarded.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Fills the store up, which a small quota makes quick.
    async fn fill(&self) -> Result<()> {
        let filler = "x".repeat(120_000);
        for i in 0..400 {
            match self.etcdctl(&["put", &format!("filler/{i}"), &filler]).await {
                Err(error) if error.to_string().contains("space exceeded") => return Ok(()),
                other => other.map(|_| ())?,
            }
        }
        Err(Error::new("the store does not get full"))
    }

    async fn make_room(&self) -> Result<()> {
        self.etcdctl(&["del", "filler/", "--prefix"]).await?;
        self.member(0).compact().await?;
        for member in self.cluster.members() {
            self.through(member, &["defrag"]).await?;
        }
        self.etcdctl(&["alarm", "disarm"]).await.map(|_| ())
    }
}

#[async_trait]
impl Backend for Etcd {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = vec![
            Fault::lasting("member killed", between(1, 5)),
            Fault::lasting("member stopped", between(1, 6)),
            Fault::lasting("all killed", between(1, 8)),
            Fault::lasting("all stopped", between(1, 9)),
            Fault::lasting("black hole", between(1, 9)),
            Fault::lasting("answers lost", between(1, 6)),
            Fault::lasting("refused", between(1, 6)),
            Fault::lasting("latency", between(1, 4)),
            Fault::lasting("store full", between(1, 5)),
            Fault::lasting("authentication", between(2, 8)),
            Fault::momentary("connections reset"),
            Fault::momentary("compacted"),
            Fault::momentary("data lost"),
            Fault::momentary("history rolled back"),
            Fault::momentary("lease revoked"),
            Fault::momentary("key deleted"),
            Fault::momentary("key garbled"),
        ];
        if self.cluster.members().len() > 1 {
            faults.push(Fault::lasting("quorum lost", between(1, 8)));
            faults.push(Fault::lasting("leader killed", between(1, 5)));
        }
        faults
    }

    async fn inject(&self, fault: &Fault, choice: u64) -> Result<()> {
        match fault.name() {
            "member killed" => self.member(choice).kill9(),
            "member stopped" => self.member(choice).stop(),
            "all killed" => self.cluster.kill_all(),
            "all stopped" => self.cluster.stop_all(),
            "quorum lost" => drop(self.cluster.lose_quorum().await?),
            "leader killed" => self.cluster.leader().await?.kill9(),
            "black hole" => self.set(ProxyMode::BlackHole),
            "answers lost" => self.set(ProxyMode::BlackHoleToClient),
            "latency" => self.set(ProxyMode::Latency(Duration::from_millis(150))),
            "refused" => {
                self.set(ProxyMode::RefuseNew);
                self.proxies.iter().for_each(Proxy::reset_all);
            }
            "store full" => self.fill().await?,
            "authentication" => self.guard().await?,
            "connections reset" => self.proxies.iter().for_each(Proxy::reset_all),
            "compacted" => drop(self.member(choice).compact().await?),
            "data lost" => {
                self.cluster.wipe()?;
                self.cluster.heal().await?;
            }
            "history rolled back" if self.guarded.load(Ordering::Relaxed) => {
                return Err(Error::new("what is saved now would ask who comes later who they are"));
            }
            "history rolled back" => {
                // To where it was when this was last done.
                let now = self.cluster.save()?;
                let before =
                    std::mem::replace(&mut *self.saved.lock().unwrap_or_else(PoisonError::into_inner), now);
                self.cluster.restore(&before)?;
                self.cluster.heal().await?;
            }
            "lease revoked" => {
                let leases = self.etcdctl(&["lease", "list"]).await?;
                let leases: Vec<_> = leases.lines().skip(1).collect();
                if !leases.is_empty() {
                    let lease = leases[choice as usize % leases.len()].trim();
                    self.etcdctl(&["lease", "revoke", lease]).await?;
                }
            }
            "key deleted" | "key garbled" => {
                let there = listing(self.member(0)).await?;
                let core: Vec<_> = there.keys().filter(|id| id.starts_with("core")).collect();
                if !core.is_empty() {
                    let key = key(core[choice as usize % core.len()]);
                    if fault.name() == "key garbled" {
                        self.etcdctl(&["put", "lb/instances/drill/garbled", "no json"]).await?;
                    }
                    self.etcdctl(&["del", &key]).await?;
                }
            }
            other => return Err(Error::new(format!("`{other}` is not known"))),
        }
        Ok(())
    }

    async fn heal(&self, fault: &Fault) -> Result<()> {
        self.set(ProxyMode::Pass);
        self.cluster.heal().await?;
        match fault.name() {
            "store full" => self.make_room().await,
            "authentication" => self.no_guard().await,
            "key garbled" => self.etcdctl(&["del", "lb/instances/drill/garbled"]).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    async fn listing(&self, _service: &str) -> Result<BTreeMap<String, u32>> {
        listing(self.member(0)).await
    }
}

async fn drill(members: usize, settings: Settings) -> Result<()> {
    let _place = World::place().await?;
    let options = EtcdOptions::new().quota_backend_bytes(16 << 20).auth_token_ttl(2);
    let cluster = EtcdCluster::start_with(members, &options).await?;
    let (proxies, through) = proxied(&cluster).await?;
    let mut writers: Vec<Arc<dyn ServiceRegistry<Instance>>> = Vec::new();
    for _ in 0..2 {
        let writer = builder(cluster.client_urls()).user("app", "apppw").connect().await.map_err(failed)?;
        writers.push(Arc::new(writer));
    }
    let observer = builder(through).user("app", "apppw").connect().await.map_err(failed)?;
    // What was deregistered while the observer was away is a suspect for its grace.
    let bounds = Bounds {
        settled: GRACE + Duration::from_secs(14),
        missing: Duration::from_secs(8),
        look_up: Duration::from_secs(1),
    };
    // The first time, the history goes back to the beginning.
    let saved = Mutex::new(cluster.save()?);
    let etcd = Etcd { cluster, proxies, saved, guarded: AtomicBool::new(false) };
    let report = Drill::new(Arc::new(observer.clone()), writers).bounds(bounds).run(&etcd, settings).await;
    println!("{:?}", observer.status());
    report.map(|_| ()).map_err(failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_on_one_member() -> Result<()> {
    drill(1, Settings::from_env(1, Duration::from_secs(60))?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_on_three_members() -> Result<()> {
    drill(3, Settings::from_env(3, Duration::from_secs(100))?).await
}
