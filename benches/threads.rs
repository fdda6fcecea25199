//! What sharing costs: the same call by one, two and four threads, beside the hand-written floor, which shares no less.
//! `cargo bench --bench threads`.

use std::hint::black_box;
use std::sync::Barrier;

mod support;

use support::floors::Services;
use support::measure::clock;
use support::{SERVICE, balancer, call, call_by_name, is_smoke, median, runtime, table};

const SIZES: [usize; 2] = [3, 128];
const THREADS: [usize; 3] = [1, 2, 4];

/// Calls that each thread makes in a turn: tens of milliseconds, long against the slice of time that a system gives to one
/// of several threads of a processor. In a shorter turn each is done before the next one begins, and nothing is shared.
const CALLS: u64 = 400_000;

/// Makes so many calls on the thread that it runs on.
type Calls<'a> = (String, Box<dyn Fn(u64) + Sync + 'a>);

fn main() {
    let runtime = runtime();
    let mut cases: Vec<Calls<'_>> = Vec::new();
    for n in SIZES {
        let by_hand = Services::new(n);
        cases.push((
            format!("written by hand, {n}"),
            Box::new(move |count| {
                for _ in 0..count {
                    by_hand.call(black_box(SERVICE), |member| {
                        black_box(member);
                    });
                }
            }),
        ));
        let lb = runtime.block_on(balancer(n));
        let handle = lb.service(SERVICE);
        cases.push((
            format!("execute, {n}"),
            Box::new(move |count| support::runtime().block_on(call_by_name(&lb, count))),
        ));
        cases.push((
            format!("execute through a handle, {n}"),
            Box::new(move |count| support::runtime().block_on(call(&handle, count))),
        ));
    }
    let rounds = if is_smoke() { 2 } else { 20 };
    let mut costs = vec![[const { Vec::new() }; THREADS.len()]; cases.len()];
    for _ in 0..rounds {
        for ((_, calls), costs) in cases.iter().zip(&mut costs) {
            for (threads, costs) in THREADS.iter().zip(costs) {
                costs.push(nanos_per_call(*threads, calls));
            }
        }
    }
    let rows: Vec<_> = cases
        .iter()
        .zip(costs)
        .map(|((name, _), costs)| row(name, costs.map(|costs| median(&costs))))
        .collect();
    let head = ["what", "1 thread", "2 threads", "4 threads", "loss by 2", "loss by 4"];
    table::print("nanoseconds of a processor per call", &head, &rows);
}

/// What a call costs in time of a processor, where `threads` make them at once: from when the first began until the last was
/// done.
fn nanos_per_call(threads: usize, calls: &(dyn Fn(u64) + Sync)) -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(threads);
    let start = Barrier::new(threads);
    let times: Vec<_> = std::thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(|| {
                calls(CALLS / 10);
                start.wait();
                let started = clock();
                calls(CALLS);
                (started, clock())
            })
        };
        let all: Vec<_> = (0..threads).map(spawn).collect();
        all.into_iter().map(|thread| thread.join().expect("does not panic")).collect()
    });
    let first = times.iter().map(|(started, _)| *started).min().expect("at least one thread");
    let last = times.iter().map(|(_, ended)| *ended).max().expect("at least one thread");
    (last - first).as_nanos() as f64 * processors as f64 / (threads as u64 * CALLS) as f64
}

fn row(name: &str, costs: [f64; THREADS.len()]) -> Vec<String> {
    let losses = costs[1..].iter().map(|cost| table::times(cost / costs[0]));
    [name.to_owned()].into_iter().chain(costs.map(table::ns)).chain(losses).collect()
}
