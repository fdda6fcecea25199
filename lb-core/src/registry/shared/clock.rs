//! The runtime's time, for the shells around the decisions here: [`RuntimeClock`].

use tokio::time::Instant;

use crate::engine::EngineClock;
use crate::time::{Clock, Time};

/// Reads tokio's clock, so that paused time in tests is seen, and turns times into instants to sleep until.
///
/// ```
/// use std::time::Duration;
/// use lb_core::Clock;
/// use lb_core::registry::shared::RuntimeClock;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let clock = RuntimeClock::start();
/// let deadline = clock.now() + Duration::from_secs(5);
/// clock.sleep_until(Some(deadline)).await;
/// assert!(clock.now() >= deadline);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock(EngineClock);

impl RuntimeClock {
    /// A clock that starts now. Times of two clocks cannot be compared: start one per registry.
    pub fn start() -> Self {
        Self(EngineClock::start())
    }

    /// The runtime's instant of a time.
    pub fn instant(&self, time: Time) -> Instant {
        self.0.instant(time)
    }

    /// Sleeps until `deadline`; without one, for ever.
    pub async fn sleep_until(&self, deadline: Option<Time>) {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(self.instant(deadline)).await,
            None => std::future::pending().await,
        }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Time {
        self.0.now()
    }
}
