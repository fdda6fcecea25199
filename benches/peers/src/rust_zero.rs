//! `rust-zero-core`: two choices by latency and requests in flight, behind a mutex per node. Its set of nodes is fixed.

use std::hint::black_box;

use rust_zero_core::balancer::P2cBalancer;

use crate::Way;
use crate::measure::Case;

pub(crate) const P2C: &str = "rust-zero: P2C pick and complete";

pub(crate) fn ways<'a>() -> Vec<Way<'a>> {
    vec![(P2C, Box::new(pick))]
}

fn pick<'a>(n: usize) -> Case<'a> {
    let balancer = P2cBalancer::new((0..n).map(|i| format!("instance-{i:06}"))).expect("somebody is there");
    Case::new("", move |count| {
        for _ in 0..count {
            let request = balancer.pick();
            black_box(request.value());
            request.complete(true);
        }
    })
}
