//! What the parts of a call cost, each written by hand: the least that a call which does all of them can cost.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;

use super::SERVICE;
use super::measure::Case;

type Map = HashMap<Arc<str>, Arc<Whole>, foldhash::fast::RandomState>;

/// A balancer reduced to what none can do without: find the service, read the set, take a turn, count the request
/// in, hold the instance, read the clock, count it out.
pub(crate) struct Whole {
    set: ArcSwap<Vec<Arc<Member>>>,
    turns: CachePadded<AtomicU64>,
}

/// An instance, and what every request writes.
pub(crate) struct Member {
    pub(crate) id: String,
    state: CachePadded<(AtomicU64, AtomicU64)>,
}

/// The service by name.
pub(crate) struct Services(Map);

impl Services {
    pub(crate) fn new(n: usize) -> Self {
        let member = |i| Arc::new(Member { id: format!("instance-{i:06}"), state: CachePadded::default() });
        let whole = Whole {
            set: ArcSwap::from_pointee((0..n).map(member).collect()),
            turns: CachePadded::new(AtomicU64::new(0)),
        };
        let mut map = Map::default();
        map.insert(SERVICE.into(), Arc::new(whole));
        Self(map)
    }

    /// One request by name.
    #[inline]
    pub(crate) fn call<R>(&self, name: &str, f: impl FnOnce(&Member) -> R) -> R {
        self.0[name].call(f)
    }

    pub(crate) fn service(&self) -> &Whole {
        &self.0[SERVICE]
    }
}

impl Whole {
    #[inline]
    pub(crate) fn call<R>(&self, f: impl FnOnce(&Member) -> R) -> R {
        let started = black_box(tokio::time::Instant::now());
        let member = {
            let set = self.set.load();
            let turn = self.turns.fetch_add(1, Ordering::Relaxed) as usize;
            Arc::clone(&set[turn % set.len()])
        };
        member.state.0.fetch_add(1, Ordering::Relaxed);
        let result = f(&member);
        member.state.1.fetch_add(1, Ordering::SeqCst);
        black_box(started);
        result
    }
}

/// The parts, one by one.
pub(crate) fn parts<'a>() -> Vec<Case<'a>> {
    let services = Services::new(3);
    let set = ArcSwap::from_pointee(7_u64);
    let counter = CachePadded::new(AtomicU64::new(0));
    let state = CachePadded::new((AtomicU64::new(0), AtomicU64::new(0)));
    let arc = Arc::new(7_u64);
    vec![
        repeat("look-up of a name", move || services.0.contains_key(black_box(SERVICE))),
        repeat("ArcSwap load", move || **set.load()),
        repeat("atomic add", move || counter.fetch_add(1, Ordering::Relaxed)),
        repeat("Arc clone and drop", move || Arc::clone(&arc)),
        repeat("in flight: add, subtract", move || {
            state.0.fetch_add(1, Ordering::Relaxed);
            state.1.fetch_add(1, Ordering::SeqCst)
        }),
        repeat("one read of the clock", tokio::time::Instant::now),
    ]
}

/// Does one thing over and over.
pub(crate) fn repeat<'a, R>(name: &str, mut f: impl FnMut() -> R + 'a) -> Case<'a> {
    Case::new(name, move |n| {
        for _ in 0..n {
            black_box(f());
        }
    })
}
