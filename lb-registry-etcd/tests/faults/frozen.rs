//! A process that stands still for longer than its lease lives: SIGSTOP, a laptop's lid, a virtual machine that moves.
//!
//! The process is a real one: a test of this file, run once more with a variable set.

use std::path::PathBuf;
use std::time::Duration;

use lb_core::ServiceRegistry;
use lb_core::registry::{InstanceState, Revision, Snapshot};
use lb_registry_etcd::RemovalPolicy;
use lb_testkit::{Process, TempDir};
use tokio::time::Instant;

use crate::support::{
    Caller, Registry, TTL, builder, cluster, connect, ids, instance, on_one_and_on_three, until, until_live,
};

on_one_and_on_three!(at once: who_wakes_is_there_again, who_wakes_spares_a_successor);

/// The test that is that process...
const TEST: &str = "frozen::announces";
/// ...if this is set: to endpoints and ids, each with commas between, and a blank.
const CHILD: &str = "LB_TEST_ANNOUNCES";

/// In the process that announces it does so until it is killed. In any other it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announces() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (urls, ids) = what.split_once(' ').unwrap();
    let registry: Registry = connect(urls.split(',')).await;
    let mut kept = Vec::new();
    for id in ids.split(',') {
        kept.push(registry.announce("cart", instance(id)).await.unwrap());
    }
    loop {
        let status = registry.status();
        println!("{} announced, {} registered again", status.announced, status.re_registrations);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Another process, which announces.
struct Announcer {
    process: Process,
    log: PathBuf,
    _directory: TempDir,
}

impl Announcer {
    fn start(urls: &[String], ids: &str) -> Self {
        let directory = lb_testkit::scratch_dir("announcer").unwrap();
        let log = directory.path().join("log");
        let program = std::env::current_exe().unwrap();
        let args = ["--exact", TEST, "--nocapture"];
        let env = [(CHILD, format!("{} {ids}", urls.join(",")))];
        let process = Process::of(program, args, env, log.clone()).unwrap();
        Self { process, log, _directory: directory }
    }

    /// The last that it said of itself.
    fn says(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rfind(|line| line.contains(" announced, ")).unwrap_or_default().to_owned()
    }

    /// Waits until it says that of itself.
    async fn until(&self, says: &str, bound: Duration) {
        let what = format!("the process says \"{says}\"");
        let said = lb_testkit::eventually(&what, bound * 4, || (self.says() == says).then_some(())).await;
        match said {
            Ok(((), took)) => println!("{what}: {took:?} (should be at most {bound:?})"),
            Err(error) => panic!("{error}: {}", std::fs::read_to_string(&self.log).unwrap()),
        }
    }
}

/// Who sees it, without grace for who vanishes, and announces `z`, which stays.
async fn reader(urls: &[String]) -> Registry {
    builder(urls.iter().cloned()).removal(RemovalPolicy::trust()).connect().await.unwrap()
}

async fn who_wakes_is_there_again(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let reader = reader(&urls).await;
    let watch = reader.watch("cart").await.unwrap();
    let _z = reader.announce("cart", instance("z")).await.unwrap();
    let announcer = Announcer::start(&urls, "a,b");
    // What is frozen while it announces may be told that this took too long.
    announcer.until("2 announced, 0 registered again", Duration::from_secs(3)).await;
    until_live("announced", &watch, Duration::from_secs(1), &["a", "b", "z"]).await;
    let caller = Caller::start(&reader, "cart").await;
    let before = watch.current();

    // Shorter than its lease lives: nobody notices.
    announcer.process.stop();
    tokio::time::sleep(TTL / 3).await;
    announcer.process.cont();
    tokio::time::sleep(TTL / 2).await;
    assert_eq!(watch.current().revision, before.revision);
    assert_eq!(announcer.says(), "2 announced, 0 registered again");

    announcer.process.stop();
    until("the lease ran out", &watch, TTL + Duration::from_secs(2), |s| ids(s) == ["z"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ids(&watch.current()), ["z"]);
    announcer.process.cont();
    until_live("there again", &watch, Duration::from_secs(2), &["a", "b", "z"]).await;
    announcer.until("2 announced, 2 registered again", Duration::from_secs(2)).await;
    // And stays, with one lease that is kept.
    let after = watch.current();
    tokio::time::sleep(TTL + Duration::from_secs(1)).await;
    assert_eq!(watch.current().revision, after.revision, "{:?}", watch.current());
    caller.finish().await;
}

async fn who_wakes_spares_a_successor(members: usize) {
    let cluster = cluster(members).await;
    let urls = cluster.client_urls();
    let reader = reader(&urls).await;
    let watch = reader.watch("cart").await.unwrap();
    let _z = reader.announce("cart", instance("z")).await.unwrap();
    let announcer = Announcer::start(&urls, "early,late,nobody");
    announcer.until("3 announced, 0 registered again", Duration::from_secs(3)).await;
    until_live("announced", &watch, Duration::from_secs(1), &["early", "late", "nobody", "z"]).await;
    let caller = Caller::start(&reader, "cart").await;

    announcer.process.stop();
    // One takes the place of what is still there, one that of what has gone.
    let successor = connect(urls).await;
    let _early = successor.announce("cart", instance("early").with_weight(7)).await.unwrap();
    until("the lease ran out", &watch, TTL + Duration::from_secs(2), |s| ids(s) == ["early", "z"]).await;
    let _late = successor.announce("cart", instance("late").with_weight(7)).await.unwrap();
    until("both have successors", &watch, Duration::from_secs(1), |s| ids(s) == ["early", "late", "z"]).await;
    let owners = owners(&watch.current());

    announcer.process.cont();
    let awake = Instant::now();
    announcer.until("1 announced, 1 registered again", Duration::from_secs(2)).await;
    until("who has no successor is there again", &watch, Duration::from_secs(2), |s| {
        ids(s) == ["early", "late", "nobody", "z"]
    })
    .await;
    // Not for a moment is one of the two anybody else's, though leases are renewed and run out meanwhile.
    while awake.elapsed() < TTL + Duration::from_secs(2) {
        assert_eq!(self::owners(&watch.current()), owners);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((successor.status().announced, successor.status().re_registrations), (2, 0), "nobody fights");
    assert_eq!(announcer.says(), "1 announced, 1 registered again");
    caller.finish().await;
}

/// Who the two are, which a change of hands would change: their weights, and when they became what they are.
fn owners(snapshot: &Snapshot<lb_core::Instance>) -> Vec<(u32, InstanceState, Revision)> {
    let entries = ["early", "late"].map(|id| snapshot.entries.get(id).unwrap());
    entries.iter().map(|entry| (entry.weight(), entry.state, entry.revision)).collect()
}
