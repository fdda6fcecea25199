//! The tasks of what pickers want done beside picks.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::clock::EngineClock;
use crate::random::RandomSource;
use crate::strategy::Background;

/// The tasks that run for a service. Dropping it ends them.
#[derive(Default)]
pub(super) struct Backgrounds(Vec<Task>);

struct Task {
    work: Arc<dyn Background>,
    handle: JoinHandle<()>,
}

impl Backgrounds {
    /// Begins what is wanted and does not run, and ends what runs and is not wanted. Called inside a runtime.
    pub(super) fn sync(
        &mut self,
        wanted: Vec<Arc<dyn Background>>,
        clock: EngineClock,
        random: &dyn RandomSource,
    ) {
        let is = |task: &Task, work: &Arc<dyn Background>| {
            Arc::ptr_eq(&task.work, work) && !task.handle.is_finished()
        };
        self.0.retain(|task| wanted.iter().any(|work| is(task, work)));
        for work in wanted {
            if !self.0.iter().any(|task| is(task, &work)) {
                let run = Arc::clone(&work).run(Arc::new(clock), random.next_u64());
                self.0.push(Task { work, handle: tokio::spawn(run) });
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
