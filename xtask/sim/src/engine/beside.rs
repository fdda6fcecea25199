//! What strategies do beside picks, in the simulator's time: [`Beside`].

use std::collections::HashMap;
use std::sync::Arc;

use lb_core::strategy::Background;
use lb_core::{Clock, Time};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant};

use super::call::time;

/// Runs the tasks that strategies ask for: the real ones, on a runtime of one thread whose clock stands still, and goes from
/// one timer to the next as far as the simulator has got. What a task sees of hosts is as of the last event.
pub(super) struct Beside {
    runtime: Runtime,
    start: Instant,
    /// How far the runtime's clock is, in ms: its timers know nothing finer.
    at: u64,
    /// By client.
    running: HashMap<usize, Vec<Running>>,
}

struct Running {
    work: Arc<dyn Background>,
    handle: AbortHandle,
}

/// The runtime's time as the pool sees it.
struct TaskClock(Instant);

impl Clock for TaskClock {
    fn now(&self) -> Time {
        time(self.0.elapsed().as_nanos() as u64)
    }
}

impl Beside {
    /// Begins what a client's strategy wants done and does not run, and ends what runs and is not wanted. The runtime is
    /// made for the first who wants something: most want nothing.
    pub(super) fn sync(
        this: &mut Option<Self>,
        client: usize,
        wanted: Vec<Arc<dyn Background>>,
        seed: u64,
        now: u64,
    ) {
        if wanted.is_empty() && this.is_none() {
            return;
        }
        let this = this.get_or_insert_with(Self::new);
        this.go_on_until(now);
        let running = this.running.entry(client).or_default();
        running.retain(|it| {
            let stays = wanted.iter().any(|work| Arc::ptr_eq(work, &it.work));
            if !stays {
                it.handle.abort();
            }
            stays
        });
        for work in wanted {
            if !running.iter().any(|it| Arc::ptr_eq(&it.work, &work)) {
                let run = Arc::clone(&work).run(Arc::new(TaskClock(this.start)), seed);
                let handle = this.runtime.spawn(run).abort_handle();
                running.push(Running { work, handle });
            }
        }
    }

    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without I/O");
        let start = runtime.block_on(async { Instant::now() });
        Self { runtime, start, at: 0, running: HashMap::new() }
    }

    /// Lets the tasks do what they do until then.
    pub(super) fn go_on_until(&mut self, now: u64) {
        let millis = now / 1_000_000;
        if millis > self.at {
            self.at = millis;
            let until = self.start + Duration::from_millis(millis);
            self.runtime.block_on(async { tokio::time::sleep_until(until).await });
        }
    }
}
