//! What the benchmarks have in common: a clock, a counting allocator, and measuring several things in turn.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub(crate) mod floors;
pub(crate) mod measure;
pub(crate) mod table;

use std::hint::black_box;

use loadbalance::RequestError;
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

/// So many calls by name, one after the other.
pub(crate) async fn call_by_name(lb: &LoadBalancer<Instance>, count: u64) {
    for _ in 0..count {
        lb.execute(black_box(SERVICE), async |i| Ok::<_, RequestError>(touch(&i)))
            .await
            .expect("cannot fail");
    }
}

/// The same through a handle.
pub(crate) async fn call(service: &Service<Instance>, count: u64) {
    for _ in 0..count {
        service.execute(async |i| Ok::<_, RequestError>(touch(&i))).await.expect("cannot fail");
    }
}

/// A request that does nothing, for which the instance must be at hand; any number.
fn touch(instance: &Instance) -> usize {
    std::ptr::from_ref(black_box(instance)).addr()
}

/// The one in the middle. There must be one.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_by(|one, other| one.partial_cmp(other).expect("comparable"));
    values[values.len() / 2]
}

/// Calls per instance after which its latency is sampled and not measured each time, and a few more.
const WARM_UP: usize = 260;
