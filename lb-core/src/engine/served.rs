//! A pool in service: its decisions, its line of waiting calls, and the task that follows the registry.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::clock::EngineClock;
use super::directory::Directory;
use super::queue::Queue;
use crate::instance::ServiceInstance;
use crate::pool::{Pool, PoolContext, ServiceStats};
use crate::registry::{SnapshotReader, SnapshotWatch};
use crate::time::Clock;

/// A pool in service.
pub(crate) struct Served<I> {
    pool: Arc<Pool<I>>,
    pub(crate) queue: Queue,
    clock: EngineClock,
    reader: SnapshotReader<I>,
    /// Kept for its listener and for the registry's guard.
    _watch: SnapshotWatch<I>,
    /// Set by calls, cleared by the idle check. Written only when it is not set: calls share the line.
    used: AtomicBool,
    driver: Mutex<Option<AbortHandle>>,
}

impl<I: ServiceInstance> Served<I> {
    /// Puts a service into service: takes over the watch's current snapshot, and all later ones.
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
        let served = Arc::new(Self {
            pool,
            queue: Queue::default(),
            clock,
            reader,
            _watch: watch,
            used: AtomicBool::new(true),
            driver: Mutex::new(None),
        });
        served.refresh();
        served.drive(directory, idle);
        served
    }

    #[inline]
    pub(crate) fn pool(&self) -> &Pool<I> {
        &self.pool
    }

    /// Takes over the registry's latest snapshot, if that has not happened yet.
    pub(crate) fn refresh(&self) {
        self.pool.apply(|| self.reader.current(), self.clock.now());
    }

    /// Notes that the service is in use.
    #[inline]
    pub(crate) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody has used the service since this was last asked, and nobody waits for it.
    pub(crate) fn take_idle(&self) -> bool {
        !self.used.swap(false, Ordering::Relaxed) && self.queue.is_empty()
    }

    pub(crate) fn stats(&self) -> ServiceStats {
        self.pool.stats(self.queue.len(), self.clock.now())
    }

    /// Starts the task that follows the registry, or starts it again if its runtime has gone.
    pub(crate) fn drive(self: &Arc<Self>, directory: &Weak<Directory<I>>, idle: Duration) {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if driver.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = follow(Arc::downgrade(self), self.reader.clone(), Weak::clone(directory), idle);
            *driver = Some(tokio::spawn(task).abort_handle());
        }
    }
}

/// Follows the registry for as long as the service is in use. Ends with it.
async fn follow<I: ServiceInstance>(
    served: Weak<Served<I>>,
    mut reader: SnapshotReader<I>,
    directory: Weak<Directory<I>>,
    idle: Duration,
) {
    let mut idle_check = tokio::time::interval(idle);
    idle_check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    idle_check.tick().await;
    let mut gone = false;
    loop {
        tokio::select! {
            changed = reader.changed(), if !gone => {
                gone = changed.is_err();
                let Some(served) = served.upgrade() else { return };
                served.refresh();
                if gone {
                    tracing::warn!(service = %served.pool.service(), "the registry is gone; its last snapshot stays in force");
                }
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
        let driver = self.driver.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = driver.take() {
            driver.abort();
        }
    }
}

impl<I> fmt::Debug for Served<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("pool", &self.pool).finish_non_exhaustive()
    }
}
