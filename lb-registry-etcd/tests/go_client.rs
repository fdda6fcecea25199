//! Go services and ours find each other: etcd's own naming package for gRPC-Go, on a real etcd.
//!
//! `tests/go/main.go` is built with what Debian and Ubuntu have in `golang-go`, `golang-etcd-server-dev` and
//! `golang-google-grpc-dev`, without modules and without a network. Where they are not installed nothing is checked, and
//! the test says so; with `LB_GO` set that is a failure.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lb_core::registry::{InstanceState, Snapshot, SnapshotWatch};
use lb_core::{Instance, ServiceRegistry};
use lb_registry_etcd::{EtcdRegistry, RemovalPolicy};
use lb_testkit::etcd::EtcdServer;
use lb_testkit::eventually;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Where Go finds packages of the distribution.
const PACKAGES: &str = "/usr/share/gocode";
/// How long what takes milliseconds may take on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(10);
/// The services, and where Go has them: the target of the first would be `etcd:///lb/instances/cart`.
const CART: &str = "lb/instances/cart";

/// The program, built.
struct Go {
    program: PathBuf,
}

impl Go {
    /// Builds it in `directory`; `None` if Go, or what it needs, is not installed.
    async fn build(directory: &Path) -> Option<Self> {
        let version = Command::new("go").arg("version").output().await;
        let naming = Path::new(PACKAGES).join("src/go.etcd.io/etcd/clientv3/naming/resolver");
        if !version.is_ok_and(|version| version.status.success()) || !naming.is_dir() {
            assert!(std::env::var_os("LB_GO").is_none(), "LB_GO is set, and Go's etcd client is not here");
            println!("not checked: Go's etcd client is not here");
            return None;
        }
        let program = directory.join("go-client");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/main.go");
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(&program).arg(source);
        command.env("GO111MODULE", "off").env("GOPATH", PACKAGES).env("GOFLAGS", "").env("CGO_ENABLED", "0");
        command.env("GOCACHE", directory.join("cache")).env("GOTMPDIR", directory);
        let built = command.kill_on_drop(true).output().await.unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(Self { program })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// Runs it to its end: the lines that it prints.
    async fn run(&self, args: &[&str]) -> Vec<String> {
        let output = self.command(args).stderr(Stdio::piped()).output();
        let output = timeout(SOON * 2, output).await.unwrap().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Starts what goes on until its input ends, which it does at the latest when this process does.
    fn start(&self, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = self.command(args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }
}

fn at(id: &str, address: impl Into<String>) -> Instance {
    Instance::new(id).with_address(address)
}

async fn until(what: &str, watch: &SnapshotWatch<Instance>, check: impl Fn(&Snapshot<Instance>) -> bool) {
    match eventually(what, SOON, || check(&watch.current()).then_some(())).await {
        Ok(((), took)) => println!("{what}: {took:?}"),
        Err(error) => panic!("{error}: there is {:?}", watch.current()),
    }
}

fn ids(snapshot: &Snapshot<Instance>) -> Vec<&str> {
    snapshot.entries.iter().map(|entry| entry.id()).collect()
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap()
}

/// One test, so that the program is built once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_go_service_finds_ours_and_we_find_it() {
    let directory = lb_testkit::scratch_dir("go").unwrap();
    let Some(go) = Go::build(directory.path()).await else { return };
    let etcd = EtcdServer::start().await.unwrap();
    let url = etcd.client_url();
    let registry: EtcdRegistry<Instance> =
        EtcdRegistry::builder([url.clone()]).removal(RemovalPolicy::trust()).connect().await.unwrap();

    it_finds_ours(&go, &url, &registry).await;
    we_find_it(&go, &url, &registry).await;
    it_calls_ours(&go, &etcd, &registry).await;
}

async fn it_finds_ours(go: &Go, url: &str, registry: &EtcdRegistry<Instance>) {
    assert!(go.run(&["list", url, CART]).await.is_empty());
    let (mut child, mut changes) = go.start(&["watch", url, CART]);
    let a = registry.announce("cart", at("a", "10.0.0.1:80").with_weight(7).with_zone("z")).await.unwrap();
    assert_eq!(next(&mut changes).await, "+ lb/instances/cart/a 10.0.0.1:80");
    // A name that has to be encoded, and what is of the service and no endpoint.
    registry.register("cart", at("b/1", "10.0.0.2:80")).await.unwrap();
    registry.set_override("cart", "a", lb_core::registry::Override::weight(3)).await.unwrap();
    registry.set_config("cart", lb_core::ServiceConfig::default()).await.unwrap();
    assert_eq!(next(&mut changes).await, "+ lb/instances/cart/b%2F1 10.0.0.2:80");
    let both = ["lb/instances/cart/a 10.0.0.1:80", "lb/instances/cart/b%2F1 10.0.0.2:80"];
    assert_eq!(go.run(&["list", url, CART]).await, both);

    // It moves, and leaves.
    registry.register("cart", at("b/1", "10.0.0.3:80")).await.unwrap();
    assert_eq!(next(&mut changes).await, "+ lb/instances/cart/b%2F1 10.0.0.3:80");
    registry.deregister("cart", "b/1").await.unwrap();
    assert_eq!(next(&mut changes).await, "- lb/instances/cart/b%2F1");
    a.leave(Duration::ZERO).await.unwrap();
    // That it drains, which it does first, is nothing to Go.
    let mut last = next(&mut changes).await;
    while last == "+ lb/instances/cart/a 10.0.0.1:80" {
        last = next(&mut changes).await;
    }
    assert_eq!(last, "- lb/instances/cart/a");
    assert!(go.run(&["list", url, CART]).await.is_empty());
    drop(child.stdin.take());
    assert!(timeout(SOON, child.wait()).await.unwrap().unwrap().success());

    // To Go a target is what keys begin with. With `/` at its end, one service is not another whose name is longer.
    registry.register("cart-old", at("c", "10.0.0.4:80")).await.unwrap();
    assert_eq!(go.run(&["list", url, CART]).await, ["lb/instances/cart-old/c 10.0.0.4:80"]);
    assert!(go.run(&["list", url, "lb/instances/cart/"]).await.is_empty());
    registry.deregister("cart-old", "c").await.unwrap();
}

async fn we_find_it(go: &Go, url: &str, registry: &EtcdRegistry<Instance>) {
    let watch = registry.watch("cart").await.unwrap();
    go.run(&["add", url, CART, "go-1", "10.0.1.1:80"]).await;
    until("what Go added is seen", &watch, |s| ids(s) == ["go-1"]).await;
    let (mut child, _) = go.start(&["lease", url, CART, "go-2", "10.0.1.2:80"]);
    until("what Go keeps alive is seen", &watch, |s| ids(s) == ["go-1", "go-2"]).await;
    let snapshot = watch.current();
    assert_eq!(snapshot.skipped, 0);
    let expected = [at("go-1", "10.0.1.1:80"), at("go-2", "10.0.1.2:80").with_metadata("zone", "go")];
    for (entry, expected) in snapshot.entries.iter().zip(expected) {
        assert_eq!((&*entry.instance, entry.state), (&expected, InstanceState::Ready));
    }
    // It moves; what an operator says of it holds.
    registry.set_override("cart", "go-1", lb_core::registry::Override::weight(5)).await.unwrap();
    go.run(&["add", url, CART, "go-1", "10.0.1.9:80"]).await;
    until("what Go moved is seen", &watch, |s| {
        let found = s.entries.get("go-1");
        found.is_some_and(|e| e.instance.address.as_deref() == Some("10.0.1.9:80") && e.weight() == 5)
    })
    .await;
    // Longer than its lease lives.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ids(&watch.current()), ["go-1", "go-2"]);

    drop(child.stdin.take());
    until("the Go process has ended", &watch, |s| ids(s) == ["go-1"]).await;
    assert!(timeout(SOON, child.wait()).await.unwrap().unwrap().success());
    go.run(&["del", url, CART, "go-1"]).await;
    until("what Go took out is gone", &watch, |s| s.entries.is_empty()).await;
}

/// Calls over gRPC, to what stands in the registry. etcd is a gRPC server itself, and serves as the service.
///
/// With both policies that a Go client has: `round_robin` hashes what stands in `Metadata` (in 1.33; 1.71 always does),
/// and panics where that is an object.
async fn it_calls_ours(go: &Go, etcd: &EtcdServer, registry: &EtcdRegistry<Instance>) {
    let url = etcd.client_url();
    let calls = async |policy| go.run(&["call", &url, "lb/instances/health", "50", policy]).await;
    let address = etcd.client_address().to_string();
    let a = registry.announce("health", at("a", address.clone())).await.unwrap();
    for policy in ["pick_first", "round_robin"] {
        assert_eq!(calls(policy).await, vec![format!("SERVING {address}"); 50], "{policy}");
    }
    let other = EtcdServer::start().await.unwrap();
    let second = other.client_address().to_string();
    let _b = registry.announce("health", at("b", second.clone())).await.unwrap();
    let both = calls("round_robin").await;
    for address in [&address, &second] {
        assert!(both.contains(&format!("SERVING {address}")), "{both:?}");
    }
    // One leaves.
    a.leave(Duration::ZERO).await.unwrap();
    assert_eq!(calls("pick_first").await, vec![format!("SERVING {second}"); 50]);
}
