//! What changes of a large set cost those who call meanwhile. `cargo bench --bench churn`.
//!
//! One thread calls all the time. Another adds an instance or takes it away again, up to a thousand times a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use loadbalance::prelude::*;
use loadbalance::strategy::{Candidates, MemberSet, Picker, RoundRobin, Slot, Strategy};

mod support;

use support::measure::clock;
use support::{SERVICE, call, is_smoke, median, registry, runtime, table};

const SIZES: [usize; 2] = [10_000, 100_000];
/// The time between two changes.
const EVERY: Duration = Duration::from_millis(1);
/// For how long calls are counted at a time, in turn with changes and without.
const WINDOW: Duration = Duration::from_millis(200);

/// Round robin that tells how large the set is that it picks from.
struct Tells(Arc<AtomicUsize>);

struct TellingPicker {
    inner: Box<dyn Picker<Instance>>,
    len: usize,
    seen: Arc<AtomicUsize>,
}

impl Strategy<Instance> for Tells {
    fn picker(
        &self,
        set: &MemberSet<Instance>,
        _: Option<&dyn Picker<Instance>>,
    ) -> Box<dyn Picker<Instance>> {
        let inner = RoundRobin::new().picker(set, None);
        Box::new(TellingPicker { inner, len: set.len(), seen: Arc::clone(&self.0) })
    }

    fn name(&self) -> &'static str {
        "tells"
    }
}

impl Picker<Instance> for TellingPicker {
    fn pick(&self, candidates: &Candidates<'_, Instance>) -> Option<Slot> {
        if self.seen.load(Ordering::Relaxed) != self.len {
            self.seen.store(self.len, Ordering::Relaxed);
        }
        self.inner.pick(candidates)
    }
}

/// What the caller found in a window.
#[derive(Clone, Copy, Default)]
struct Calls {
    per_second: f64,
    longest: Duration,
}

fn main() {
    let (sizes, windows, changes) = if is_smoke() { (&SIZES[..1], 1, 10) } else { (&SIZES[..], 20, 2_000) };
    let rows: Vec<_> = sizes.iter().map(|&n| measure(n, windows, changes)).collect();
    let head = [
        "instances",
        "visible p50",
        "p99",
        "max",
        "calls/s quiet",
        "with changes",
        "ratio",
        "longest quiet",
        "with changes",
    ];
    table::print("one instance added or removed, a thousand times a second", &head, &rows);
    println!("\nvisible: from before the write until a pick has used the new set, milliseconds");
    println!(
        "calls/s: medians of windows of {WINDOW:?}, in turn; longest: of a single call, median of the windows, ms"
    );
}

fn measure(n: usize, windows: usize, changes: usize) -> Vec<String> {
    let seen = Arc::new(AtomicUsize::new(0));
    let registry = registry(n);
    let lb = LoadBalancer::builder(registry.clone()).strategy(Tells(Arc::clone(&seen))).build();
    let service = lb.service(SERVICE);
    runtime().block_on(call(&service, n as u64));
    let (stop, churn) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Alone with the changes first: when are they visible?
        let caller = scope.spawn(|| {
            runtime().block_on(async {
                while !stop.load(Ordering::Relaxed) {
                    call(&service, 64).await;
                }
            });
        });
        let mut visible: Vec<_> = (0..changes).map(|i| visible_after(&registry, n, i, &seen)).collect();
        stop.store(true, Ordering::Relaxed);
        caller.join().expect("the caller does not panic");
        visible.sort();
        let visible =
            [visible[visible.len() / 2], visible[visible.len() * 99 / 100], visible[visible.len() - 1]];

        // Then for how long and how often it can call, with and without.
        stop.store(false, Ordering::Relaxed);
        scope.spawn(|| {
            for i in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if churn.load(Ordering::Relaxed) {
                    change(&registry, i);
                }
                pause(EVERY);
            }
        });
        let (mut quiet, mut busy) = (Vec::new(), Vec::new());
        for _ in 0..windows {
            churn.store(false, Ordering::Relaxed);
            quiet.push(window(&service));
            churn.store(true, Ordering::Relaxed);
            busy.push(window(&service));
        }
        stop.store(true, Ordering::Relaxed);
        row(n, visible, middle(&quiet), middle(&busy))
    })
}

/// The thread that changes the set has nothing else to do.
#[allow(clippy::disallowed_methods, reason = "no runtime runs on this thread")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Adds an instance, or takes it away again.
fn change(registry: &MemoryRegistry<Instance>, i: usize) {
    let done = if i.is_multiple_of(2) {
        registry.register(SERVICE, Instance::new("extra")).now_or_never().map(|done| done.map(drop))
    } else {
        registry.deregister(SERVICE, "extra").now_or_never().map(|done| done.map(drop))
    };
    done.expect("nothing to wait for").expect("valid");
}

fn visible_after(registry: &MemoryRegistry<Instance>, n: usize, i: usize, seen: &AtomicUsize) -> Duration {
    let expected = if i.is_multiple_of(2) { n + 1 } else { n };
    let started = clock();
    change(registry, i);
    while seen.load(Ordering::Relaxed) != expected {
        std::hint::spin_loop();
    }
    let took = clock() - started;
    pause(EVERY.saturating_sub(took));
    took
}

/// Calls one at a time for a while, and how long the longest took.
fn window(service: &Service<Instance>) -> Calls {
    runtime().block_on(async {
        let (started, mut count, mut longest) = (clock(), 0_u64, Duration::ZERO);
        let mut last = started;
        while last - started < WINDOW {
            call(service, 1).await;
            let now = clock();
            longest = longest.max(now - last);
            (last, count) = (now, count + 1);
        }
        Calls { per_second: count as f64 / (last - started).as_secs_f64(), longest }
    })
}

fn middle(windows: &[Calls]) -> Calls {
    let rates: Vec<_> = windows.iter().map(|calls| calls.per_second).collect();
    let longest: Vec<_> = windows.iter().map(|calls| calls.longest).collect();
    Calls { per_second: median(&rates), longest: median(&longest) }
}

fn row(n: usize, visible: [Duration; 3], quiet: Calls, busy: Calls) -> Vec<String> {
    let millis = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1e3);
    let mut row = vec![n.to_string()];
    row.extend(visible.map(millis));
    row.extend([quiet, busy].map(|calls| format!("{:.0}", calls.per_second)));
    row.push(table::times(busy.per_second / quiet.per_second));
    row.extend([quiet, busy].map(|calls| millis(calls.longest)));
    row
}
