//! How long writes to a large service take: `cargo run --release -p lb-registry-memory --example large_service`.

use std::time::{Duration, Instant};

use lb_core::registry::Override;
use lb_core::{Instance, RegistryError, ServiceRegistry};
use lb_registry_memory::MemoryRegistry;

const WRITES: u32 = 10_000;

#[allow(clippy::disallowed_methods, reason = "it measures the wall clock")]
fn clock() -> Instant {
    Instant::now()
}

fn report(what: &str, size: usize, time: Duration) {
    println!("{size:>7} instances  {what:<28} {time:>10.1?}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RegistryError> {
    for size in [10, 1_000, 100_000] {
        let registry = MemoryRegistry::new();
        let id = |n: u32| format!("{:06}", n.wrapping_mul(7_919) as usize % size);
        let all = || (0..size).map(|n| Instance::new(format!("{n:06}"))).collect::<Vec<_>>();
        let _watch = registry.watch("s").await?;

        let list = all();
        let start = clock();
        registry.replace_all("s", list)?;
        report("replace_all", size, clock() - start);
        let list = all();
        let start = clock();
        registry.reconcile("s", list)?;
        report("reconcile, nothing differs", size, clock() - start);

        let start = clock();
        for n in 0..WRITES {
            registry.register("s", Instance::new(id(n))).await?;
        }
        report("register", size, (clock() - start) / WRITES);
        let start = clock();
        for n in 0..WRITES {
            registry.set_override("s", &id(n), Override::weight(n)).await?;
        }
        report("set_override", size, (clock() - start) / WRITES);
        let start = clock();
        for n in 0..WRITES {
            let _announcement = registry.announce("s", Instance::new(format!("announced {n}"))).await?;
        }
        report("announce and drop", size, (clock() - start) / WRITES);
    }
    Ok(())
}
