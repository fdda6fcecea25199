//! Tells calls that wait for an instance that somebody may have become available.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// One per balancer, because a quota group may span services.
///
/// The rule that loses no wake-up: who waits registers *first* and looks *then*; who makes room does so *first* and
/// looks for waiters *then*. Between the two steps each side has a sequentially consistent fence, so at least one sees
/// the other, whatever operations the room is made with.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    waiting: AtomicUsize,
    notify: Notify,
}

impl Signal {
    /// Registers a waiting call until the guard is dropped.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Waiting(self)
    }

    /// Wakes the waiting calls, if there are any. A fence and a load if not.
    #[inline]
    pub(crate) fn wake_waiting(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.notify.notify_waiters();
        }
    }
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Signal);

impl Waiting<'_> {
    /// Completes at the next wake-up after this was called.
    pub(crate) fn notified(&self) -> Notified<'_> {
        self.0.notify.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
