//! Who waits for an instance: first come, first served, and not too many.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// The waiting calls of one service. Only the first in line looks for an instance, so that news of one wakes one call
/// and not all.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicUsize,
    turn: Mutex<()>,
}

impl Queue {
    /// How many calls wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nobody waits: who comes now may pick at once without overtaking anybody.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gets in line; `None` if the line is too long.
    pub(crate) fn enter(&self, max_waiting: u32) -> Option<Ticket<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket(self);
        (before < max_waiting as usize).then_some(ticket)
    }
}

/// A place in the line; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Ticket<'a>(&'a Queue);

impl Ticket<'_> {
    /// Waits until this call is the first in line, and for as long as the guard lives it is. Tokio's mutex hands over
    /// in the order of asking. Cancel-safe.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
