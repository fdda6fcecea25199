//! What the benchmarks have in common: a clock, a counting allocator, and measuring several things in turn.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod floors;
pub(crate) mod measure;
pub(crate) mod table;

use loadbalance::prelude::*;

/// The service that all benchmarks call.
pub(crate) const SERVICE: &str = "checkout";

/// `cargo bench` passes `--bench`; `cargo test --benches` does not, and gets a run that only shows that it works.
pub(crate) fn is_smoke() -> bool {
    !std::env::args().any(|arg| arg == "--bench")
}

/// A runtime for one thread's loop.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A registry with `n` instances.
pub(crate) fn registry(n: usize) -> MemoryRegistry<Instance> {
    let registry = MemoryRegistry::new();
    let all = (0..n).map(|i| Instance::new(format!("instance-{i:06}"))).collect::<Vec<_>>();
    registry.replace_all(SERVICE, all).expect("valid instances");
    registry
}

/// A balancer over `n` instances, each of which has had enough calls that its latency is only sampled.
pub(crate) async fn balancer(n: usize) -> LoadBalancer<Instance> {
    let lb = LoadBalancer::new(registry(n));
    for _ in 0..n * WARM_UP {
        lb.execute(SERVICE, async |_| Ok::<_, RequestError>(())).await.expect("a call that cannot fail");
    }
    lb
}

/// Calls per instance after which its latency is sampled and not measured each time, and a few more.
const WARM_UP: usize = 260;
