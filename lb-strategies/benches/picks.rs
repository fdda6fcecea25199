//! What a pick costs under every strategy, and what a new set costs. `cargo bench -p lb-strategies`.

use std::hint::black_box;
use std::sync::Arc;

use lb_core::strategy::{Candidates, Exclusions, MemberSet, PickRequest, Strategy};
use lb_core::testing::StrategyBench;
use lb_core::{Instance, RandomSource, ThreadRandom, Time};
use lb_strategies::{
    Aperture, Auto, ClientIndex, Jump, Ketama, LeastRequest, LeastUsed, Maglev, Ordered, PeakEwma, Prequal,
    Random, Rendezvous, RingHash, RoundRobin, SmoothWeighted, StaticStride, Sticky, Subset,
};

#[allow(dead_code, reason = "it is shared by all benchmarks")]
#[path = "../../benches/support/measure.rs"]
mod measure;
#[allow(dead_code, reason = "it is shared by all benchmarks")]
#[path = "../../benches/support/table.rs"]
mod table;

use measure::{Case, Cost, measure};

/// Numbers of instances.
const SIZES: [usize; 5] = [3, 16, 128, 1024, 16_384];

static NOTHING: Exclusions = Exclusions::NONE;

type AnyStrategy = Arc<dyn Strategy<Instance>>;

fn strategies() -> Vec<(&'static str, AnyStrategy)> {
    let client = ClientIndex::new(3, 1000).expect("valid");
    vec![
        ("round robin", Arc::new(RoundRobin::new())),
        ("random", Arc::new(Random::new())),
        ("smooth weighted", Arc::new(SmoothWeighted::new())),
        ("static stride", Arc::new(StaticStride::new())),
        ("least request", Arc::new(LeastRequest::new())),
        ("least request, two of all", Arc::new(LeastRequest::new().scan_up_to(0))),
        ("peak ewma", Arc::new(PeakEwma::new())),
        ("peak ewma, two of all", Arc::new(PeakEwma::new().scan_up_to(0))),
        ("prequal", Arc::new(Prequal::new())),
        ("auto", Arc::new(Auto::new())),
        ("auto, three of all", Arc::new(Auto::new().scan_up_to(0))),
        ("least used", Arc::new(LeastUsed::new())),
        ("ordered", Arc::new(Ordered::new())),
        ("maglev", Arc::new(Maglev::new())),
        ("ring hash", Arc::new(RingHash::new())),
        (
            "ring hash, 100 points each",
            Arc::new(RingHash::new().points_per_member(100).max_ring_size(8 << 20)),
        ),
        ("ketama", Arc::new(Ketama::new())),
        ("jump", Arc::new(Jump::new())),
        ("rendezvous", Arc::new(Rendezvous::new())),
        ("maglev, bounded 1.25", Arc::new(Maglev::new().load_factor(1.25))),
        ("ring hash, bounded 1.25", Arc::new(RingHash::new().load_factor(1.25))),
        ("sticky, known session", Arc::new(Sticky::new(RoundRobin::new()))),
        ("subset of 100, round robin", Arc::new(Subset::of_number(client, RoundRobin::new()))),
        ("aperture of 12, round robin", Arc::new(Aperture::new(client, RoundRobin::new()))),
    ]
}

fn sets(sizes: &[usize]) -> Vec<MemberSet<Instance>> {
    let set = |n: &usize| {
        let bench = StrategyBench::new(Random::new(), 1);
        bench.with_equal_members(*n).set()
    };
    sizes.iter().map(set).collect()
}

/// `cargo bench` passes `--bench`; `cargo test --benches` does not, and gets a run that only shows that it works.
fn is_smoke() -> bool {
    !std::env::args().any(|arg| arg == "--bench")
}

fn main() {
    let sizes = if is_smoke() { &SIZES[..2] } else { &SIZES[..] };
    let rounds = if is_smoke() { 2 } else { 60 };
    let sets = sets(sizes);
    let mut cases = Vec::new();
    for (name, strategy) in strategies() {
        // Sessions are few enough to be known; keys are not.
        let keys = if name.starts_with("sticky") { 1000 } else { usize::MAX };
        cases.extend(sets.iter().map(|set| pick(name, &*strategy, set, keys)));
    }
    let picks = measure(&mut cases, rounds);
    print("a pick, ns, among so many instances", sizes, &picks, 1.0);
    assert!(picks.iter().all(|cost| cost.allocations == 0.0), "a pick allocates nothing");

    let mut cases = Vec::new();
    for (name, strategy) in strategies() {
        cases.extend(sets.iter().map(|set| build(name, Arc::clone(&strategy), set)));
    }
    let builds = measure(&mut cases, if is_smoke() { 1 } else { 3 });
    print("a new set, µs, of so many instances", sizes, &builds, 1e3);
    let hundred = members(100);
    let mut maglev = [build("", Arc::new(Maglev::new()), &hundred)];
    let cost = measure(&mut maglev, rounds.min(10))[0].nanos;
    println!("\nmaglev, 65,537 places among 100 instances: {:.2} ms", cost / 1e6);
}

fn members(n: usize) -> MemberSet<Instance> {
    sets(&[n]).remove(0)
}

fn print(title: &str, sizes: &[usize], costs: &[Cost], unit: f64) {
    let names = strategies().into_iter().map(|(name, _)| name.to_owned());
    let row = |(name, costs): (String, &[Cost])| -> Vec<String> {
        std::iter::once(name).chain(costs.iter().map(|cost| table::ns(cost.nanos / unit))).collect()
    };
    let rows: Vec<_> = names.zip(costs.chunks(sizes.len())).map(row).collect();
    let head: Vec<String> =
        std::iter::once(String::new()).chain(sizes.iter().map(ToString::to_string)).collect();
    table::print(title, &head.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
}

/// One pick, with a key out of so many.
fn pick<'a>(
    name: &str,
    strategy: &dyn Strategy<Instance>,
    set: &'a MemberSet<Instance>,
    keys: usize,
) -> Case<'a> {
    let picker = strategy.picker(set, None);
    let now = Time::from_nanos(1);
    Case::new(name, move |n| {
        for _ in 0..n {
            let key = ThreadRandom.below(keys) as u64;
            let request = PickRequest { hash_key: Some(key), ..PickRequest::new(&NOTHING) };
            let candidates = Candidates::new(set, request, &now, &ThreadRandom);
            black_box(picker.pick(&candidates).expect("somebody is there"));
        }
    })
}

/// A picker from nothing.
fn build<'a>(name: &str, strategy: AnyStrategy, set: &'a MemberSet<Instance>) -> Case<'a> {
    Case::new(name, move |n| {
        for _ in 0..n {
            black_box(strategy.picker(set, None));
        }
    })
}
