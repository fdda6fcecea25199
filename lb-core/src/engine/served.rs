//! A pool in service: its decisions, its line of waiting calls, and the task that follows the registry.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::Guard;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::backgrounds::Backgrounds;
use super::clock::EngineClock;
use super::directory::Directory;
use super::health_checks;
use super::queue::Queue;
use crate::instance::ServiceInstance;
use crate::meters::METERED;
use crate::pool::{Home, Pool, PoolContext, Published, ServiceStats};
use crate::registry::{SnapshotReader, SnapshotWatch};
use crate::time::Clock;

/// How often gauges are brought up to date.
const PUBLISH: Duration = Duration::from_secs(5);

/// A pool in service.
pub(crate) struct Served<I> {
    pool: Arc<Pool<I>>,
    /// The pool's: one step less to what every pick reads.
    home: Arc<Home<I>>,
    pub(crate) queue: Queue,
    clock: EngineClock,
    reader: SnapshotReader<I>,
    /// Kept for its listener and for the registry's guard.
    _watch: SnapshotWatch<I>,
    /// Set by calls, cleared by the idle check. Written only when it is not set: calls share the line.
    used: AtomicBool,
    /// Whether the task that follows the registry runs: it does unless its runtime has gone.
    driven: AtomicBool,
    /// The tasks: the one that follows the registry, and the one that checks the instances.
    tasks: Mutex<Vec<AbortHandle>>,
    directory: Weak<Directory<I>>,
    idle: Duration,
    this: Weak<Self>,
}

impl<I> Served<I> {
    /// What the members of its pool have in common.
    pub(crate) fn home(&self) -> &Arc<Home<I>> {
        &self.home
    }

    /// Whether that is its home.
    pub(crate) fn is_at(&self, home: &Home<I>) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.home), home)
    }
}

impl<I: ServiceInstance> Served<I> {
    /// Makes the pool of a service: takes over the watch's current snapshot, and later ones as soon as it is
    /// [driven](Self::drive) or the registry says so on the writer's side.
    pub(crate) fn start(
        service: &str,
        mut watch: SnapshotWatch<I>,
        context: &Arc<PoolContext<I>>,
        clock: EngineClock,
        directory: &Weak<Directory<I>>,
        idle: Duration,
    ) -> Arc<Self> {
        let pool = Pool::new(service, Arc::clone(context), clock.now());
        let reader = watch.reader();
        let (weak_pool, latest) = (Arc::downgrade(&pool), reader.clone());
        // The writer's side, for registries in this process: the next pick sees the write.
        watch.on_apply(move || {
            if let Some(pool) = weak_pool.upgrade() {
                pool.apply(|| latest.current(), clock.now());
            }
        });
        let served = Arc::new_cyclic(|this| Self {
            home: Arc::clone(pool.home()),
            pool,
            queue: Queue::default(),
            clock,
            reader,
            _watch: watch,
            used: AtomicBool::new(true),
            driven: AtomicBool::new(false),
            tasks: Mutex::default(),
            directory: Weak::clone(directory),
            idle,
            this: Weak::clone(this),
        });
        served.refresh();
        served
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Pool<I> {
        &self.pool
    }

    /// What picks read.
    #[inline]
    pub(crate) fn published(&self) -> Guard<Arc<Published<I>>> {
        self.home.published.load()
    }

    /// Takes over the registry's latest snapshot, if that has not happened yet.
    pub(crate) fn refresh(&self) {
        self.pool.apply(|| self.reader.current(), self.clock.now());
    }

    /// Runs what the picker in force wants done beside picks.
    fn sync(&self, backgrounds: &mut Backgrounds) {
        backgrounds.sync(self.pool.background(), self.clock, self.pool.chance());
    }

    /// Notes that the service is in use.
    #[inline]
    pub(crate) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            let driven = self.drive();
            self.used.store(driven, Ordering::Relaxed);
        }
    }

    /// Whether nobody has used the service since this was last asked, and nobody uses it now.
    pub(crate) fn take_idle(&self) -> bool {
        !self.used.swap(false, Ordering::Relaxed) && self.is_idle()
    }

    /// Whether no call waits or is running, and none came since the last [`take_idle`](Self::take_idle).
    pub(crate) fn is_idle(&self) -> bool {
        !self.used.load(Ordering::Relaxed) && self.queue.is_empty() && !self.pool.is_busy()
    }

    /// Brings the gauges of the metrics up to date.
    pub(crate) fn publish(&self) {
        self.pool.meters().publish(|| self.stats());
    }

    pub(crate) fn stats(&self) -> ServiceStats {
        self.pool.stats(self.queue.len(), self.clock.now())
    }

    /// Starts the task that follows the registry if it does not run: when the service turns out to exist, or somebody
    /// waits until it does, and when the task's runtime has gone. Returns whether it runs.
    #[cold]
    pub(crate) fn drive(&self) -> bool {
        if self.driven.load(Ordering::Acquire) {
            return true;
        }
        // Who picks outside a runtime leaves it to the next call inside one.
        let Ok(runtime) = Handle::try_current() else { return false };
        if self.driven.swap(true, Ordering::AcqRel) {
            return true;
        }
        let ended = Ended(Weak::clone(&self.this));
        let task = follow(ended, self.reader.clone(), Weak::clone(&self.directory), self.idle);
        let mut tasks = vec![runtime.spawn(task).abort_handle()];
        if let Some(check) = self.directory.upgrade().and_then(|directory| directory.health_check().cloned())
        {
            let checks = health_checks::run(check, Weak::clone(&self.this), self.clock);
            tasks.push(runtime.spawn(checks).abort_handle());
        }
        let mut running = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for task in std::mem::replace(&mut *running, tasks) {
            task.abort();
        }
        true
    }
}

/// Dropped with the task, whatever ends it.
struct Ended<I: ServiceInstance>(Weak<Served<I>>);

impl<I: ServiceInstance> Drop for Ended<I> {
    fn drop(&mut self) {
        if let Some(served) = self.0.upgrade() {
            served.driven.store(false, Ordering::Release);
            // The next call looks, and starts the task again.
            served.used.store(false, Ordering::Relaxed);
        }
    }
}

/// Follows the registry for as long as the service is in use. Ends with it.
async fn follow<I: ServiceInstance>(
    ended: Ended<I>,
    mut reader: SnapshotReader<I>,
    directory: Weak<Directory<I>>,
    idle: Duration,
) {
    let mut idle_check = tokio::time::interval(idle);
    idle_check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    idle_check.tick().await;
    let mut publishing = tokio::time::interval(PUBLISH);
    publishing.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (served, mut gone) = (&ended.0, false);
    let mut backgrounds = Backgrounds::default();
    if let Some(served) = served.upgrade() {
        served.sync(&mut backgrounds);
    }
    loop {
        tokio::select! {
            changed = reader.changed(), if !gone => {
                gone = changed.is_err();
                let Some(served) = served.upgrade() else { return };
                served.refresh();
                served.sync(&mut backgrounds);
                if gone {
                    tracing::warn!(service = %served.pool.service(), "the registry is gone; its last snapshot stays in force");
                }
            }
            _ = publishing.tick(), if METERED => {
                let Some(served) = served.upgrade() else { return };
                served.publish();
            }
            _ = idle_check.tick() => {
                let (Some(served), Some(directory)) = (served.upgrade(), directory.upgrade()) else { return };
                if served.take_idle() {
                    directory.release(&served);
                }
            }
        }
    }
}

impl<I> Drop for Served<I> {
    fn drop(&mut self) {
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

impl<I> fmt::Debug for Served<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("pool", &self.pool).finish_non_exhaustive()
    }
}
