//! The other process: follows a service and says when it sees an instance, or how much memory it takes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lb_core::ServiceRegistry;
use lb_registry_etcd::EtcdRegistry;

use crate::Registry;

pub(crate) const COMMAND: &str = "other-process";
/// Every 10 ms: 1,000 a second.
const CHANGES_PER_ROUND: u32 = 10;

/// This program, once more.
pub(crate) struct Other {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Other {
    pub(crate) fn start(what: &str, prefix: &str, urls: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([COMMAND, what, prefix])
            .args(urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Nanoseconds by the machine's clock, which all processes share.
pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Bytes of memory that are resident.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

pub(crate) async fn serve(args: &[String]) {
    let [what, prefix, urls @ ..] = args else { panic!("what, a prefix and endpoints are needed") };
    if what == "write" {
        return write(prefix, urls).await;
    }
    let before = resident();
    #[allow(clippy::disallowed_methods, reason = "this measures")]
    let start = Instant::now();
    let registry: Registry =
        EtcdRegistry::builder(urls.iter().cloned()).prefix(prefix).connect().await.unwrap();
    #[allow(clippy::disallowed_methods, reason = "this measures")]
    let took = start.elapsed();
    let mut watch = registry.watch("bench").await.unwrap();
    let mut out = std::io::stdout();
    if what == "load" {
        let n = watch.current().entries.len();
        println!("{n} {} {}", took.as_micros(), resident().saturating_sub(before));
        return;
    }
    println!("ready");
    let follow = async {
        let mut known = watch.current().entries.clone();
        loop {
            let snapshot = watch.changed().await.unwrap();
            let at = now();
            for change in known.diff(&snapshot.entries) {
                if let lb_core::registry::EntryChange::Added(entry) = change {
                    println!("{} {at}", entry.id());
                }
            }
            out.flush().unwrap();
            known = snapshot.entries.clone();
        }
    };
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    tokio::select! {
        () = follow => {}
        _ = closed => {}
    }
}

/// Writes instances again and again, at a steady rate, until standard input is closed.
async fn write(prefix: &str, urls: &[String]) {
    let registry: Registry = EtcdRegistry::builder(urls.iter().cloned())
        .prefix(prefix)
        .services(|_| false)
        .connect()
        .await
        .unwrap();
    let writing = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
        for round in 0_u32.. {
            tick.tick().await;
            for n in 0..CHANGES_PER_ROUND {
                let registry = registry.clone();
                let id = (round * CHANGES_PER_ROUND + n) % 1_000;
                let instance = lb_core::Instance::new(format!("{id}")).with_weight(1 + round % 3);
                // Not waited for: etcd works on many at a time.
                tokio::spawn(async move { registry.register("bench", instance).await });
            }
        }
    };
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    tokio::select! {
        () = writing => {}
        _ = closed => {}
    }
}
