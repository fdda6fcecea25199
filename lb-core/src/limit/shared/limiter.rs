//! What requests see of a shared quota: [`SharedLimiter`].

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;

use super::driver::Order;
use super::state::State;
use crate::limit::{Limiter, QuotaHint};
use crate::limits::Limits;
use crate::time::Time;

/// The limiter of one key.
pub(super) struct SharedLimiter {
    pub(super) state: Arc<State>,
    /// Counts what is not shared (concurrency), and learns.
    pub(super) local: Option<Arc<dyn Limiter>>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) _following: Box<dyn Send + Sync>,
}

impl SharedLimiter {
    fn wake(&self) {
        if self.state.tended.load(Relaxed) {
            self.state.signal.notify_one();
        } else if !self.state.tended.swap(true, Relaxed) {
            let _ = self.orders.send(Order::Tend(Arc::clone(&self.state)));
        }
    }
}

impl Limiter for SharedLimiter {
    fn declare(&self, limits: Limits) {
        self.state.declare(limits);
        if let Some(local) = &self.local {
            local.declare(local_part(limits));
        }
    }

    fn try_acquire(&self, cost: u64, now: Time) -> Result<(), Time> {
        self.state.see(now);
        let rest = self.state.rests_until();
        if now < rest {
            return Err(rest);
        }
        if let Some(local) = &self.local {
            local.try_acquire(cost, now)?;
        }
        match self.state.spend(cost, now) {
            Ok(()) => {
                if self.state.is_leased() && self.state.runs_low() {
                    self.wake();
                }
                Ok(())
            }
            Err(later) => {
                if let Some(local) = &self.local {
                    local.release();
                }
                if self.state.signals() {
                    self.wake();
                }
                Err(later)
            }
        }
    }

    fn release(&self) {
        if let Some(local) = &self.local {
            local.release();
        }
    }

    fn available_at(&self, cost: u64, now: Time) -> Time {
        let local = self.local.as_ref().map_or(now, |local| local.available_at(cost, now));
        self.state.rests_until().max(local).max(self.state.available_at(cost, now))
    }

    fn headroom(&self, now: Time) -> f64 {
        if now < self.state.rests_until() {
            return 0.0;
        }
        let local = self.local.as_ref().map_or(1.0, |local| local.headroom(now));
        local.min(self.state.headroom(now))
    }

    fn settle(&self, reserved: u64, actual: u64, now: Time) {
        self.state.settle(reserved, actual, now);
        if let Some(local) = &self.local {
            local.settle(reserved, actual, now);
        }
    }

    fn refused(&self, retry_after: Option<Duration>, now: Time) {
        self.state.see(now);
        if let Some(remaining) = retry_after {
            self.state.rest_until(now + remaining);
            let _ = self.orders.send(Order::Rest(Arc::clone(&self.state.key), remaining));
        }
        if let Some(local) = &self.local {
            local.refused(retry_after, now);
        }
    }

    fn hint(&self, hint: QuotaHint, now: Time) {
        if let Some(local) = &self.local {
            local.hint(hint, now);
        }
    }
}

/// What each process counts for itself.
pub(super) fn local_part(limits: Limits) -> Limits {
    Limits { requests_per_minute: None, tokens_per_minute: None, ..limits }
}
