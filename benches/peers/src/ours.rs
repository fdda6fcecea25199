//! This balancer.

use std::hint::black_box;
use std::sync::Arc;

use loadbalance::RequestError;
use loadbalance::decide::{Pool, PoolContext, ThreadRandom, Time};
use loadbalance::prelude::*;
use loadbalance::registry::{Entry, Snapshot};
use loadbalance::strategy::{Auto, Exclusions, LeastRequest, PeakEwma, PickRequest, RoundRobin, Strategy};
use tokio::runtime::Runtime;

use crate::Way;
use crate::measure::Case;

pub(crate) const PICK: &str = "round robin: pick, count in and out";
pub(crate) const ROUND_ROBIN: &str = "round robin: execute";
pub(crate) const LEAST_REQUEST: &str = "least request: execute";
pub(crate) const EWMA: &str = "peak ewma: execute";
pub(crate) const EWMA_HANDLE: &str = "peak ewma: through a handle";
pub(crate) const AUTO: &str = "auto: execute";

static NOTHING: Exclusions = Exclusions::NONE;

pub(crate) fn ways(runtime: &Runtime) -> Vec<Way<'_>> {
    vec![
        (PICK, Box::new(pick)),
        (ROUND_ROBIN, Box::new(|n| execute(runtime, n, RoundRobin::new()))),
        (LEAST_REQUEST, Box::new(|n| execute(runtime, n, LeastRequest::new()))),
        (EWMA, Box::new(|n| execute(runtime, n, PeakEwma::new()))),
        (EWMA_HANDLE, Box::new(|n| through_a_handle(runtime, n, PeakEwma::new()))),
        (AUTO, Box::new(|n| execute(runtime, n, Auto::new()))),
    ]
}

fn instances(n: usize) -> impl Iterator<Item = Instance> {
    (0..n).map(|i| Instance::new(format!("instance-{i:06}")))
}

/// By name.
fn execute(runtime: &Runtime, n: usize, strategy: impl Strategy<Instance>) -> Case<'_> {
    let lb = balancer(runtime, n, strategy);
    Case::new("", move |count| {
        runtime.block_on(async {
            for _ in 0..count {
                let call = lb.execute(black_box("s"), async |i| {
                    black_box::<&Instance>(&i);
                    Ok::<_, RequestError>(())
                });
                call.await.expect("cannot fail");
            }
        });
    })
}

/// Without looking up a name, as the others are used, which know none.
fn through_a_handle(runtime: &Runtime, n: usize, strategy: impl Strategy<Instance>) -> Case<'_> {
    let service = balancer(runtime, n, strategy).service("s");
    Case::new("", move |count| {
        runtime.block_on(async {
            for _ in 0..count {
                let call = service.execute(async |i| {
                    black_box::<&Instance>(&i);
                    Ok::<_, RequestError>(())
                });
                call.await.expect("cannot fail");
            }
        });
    })
}

/// A balancer that has served each instance some hundred times.
fn balancer(runtime: &Runtime, n: usize, strategy: impl Strategy<Instance>) -> LoadBalancer<Instance> {
    let registry = MemoryRegistry::new();
    registry.replace_all("s", instances(n)).expect("valid instances");
    let lb = LoadBalancer::builder(registry).strategy(strategy).build();
    runtime.block_on(async {
        for _ in 0..n * 260 {
            lb.execute("s", async |_| Ok::<_, RequestError>(())).await.expect("cannot fail");
        }
    });
    lb
}

fn pick<'a>(n: usize) -> Case<'a> {
    let now = Time::from_nanos(1);
    let pool = Pool::<Instance>::new("s", Arc::new(PoolContext::new()), now);
    let entries = instances(n).map(|i| Arc::new(Entry::new(i, Revision::new(1)))).collect();
    let snapshot = Arc::new(Snapshot::new(entries, None, Revision::new(1)));
    pool.apply(move || snapshot, now);
    Case::new("", move |count| {
        for _ in 0..count {
            black_box(pool.acquire(PickRequest::new(&NOTHING), &now, &ThreadRandom).expect("somebody is there"));
        }
    })
}
