//! `pingora-load-balancing`: its round robin, which tracks neither requests in flight nor outcomes.

use std::hint::black_box;

use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::RoundRobin;

use crate::Way;
use crate::measure::Case;

pub(crate) const SELECT: &str = "pingora: round robin select";

pub(crate) fn ways<'a>() -> Vec<Way<'a>> {
    vec![(SELECT, Box::new(select))]
}

fn select<'a>(n: usize) -> Case<'a> {
    let addresses = (0..n).map(|i| format!("10.{}.{}.{}:80", i >> 16, (i >> 8) & 255, i & 255));
    let lb = LoadBalancer::<RoundRobin>::try_from_iter(addresses).expect("valid addresses");
    Case::new("", move |count| {
        for _ in 0..count {
            black_box(lb.select(black_box(b""), 256).expect("somebody is there"));
        }
    })
}
