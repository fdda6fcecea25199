//! The runtime's time, in the terms of the decisions.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::{Clock, Time};

/// Reads tokio's clock, so that paused time in tests is seen. One `clock_gettime` (about 20 ns) in production.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineClock {
    epoch: Instant,
}

/// Where the clock starts: later than [`Time::ORIGIN`], which stands for "never".
const START: Time = Time::from_nanos(1_000_000_000);

impl EngineClock {
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// The time of a runtime's instant.
    #[inline]
    pub(crate) fn time(&self, instant: Instant) -> Time {
        START + instant.saturating_duration_since(self.epoch)
    }

    /// The runtime's instant of a time; a far one if it is beyond what the runtime can hold.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.epoch + time.since(START).min(FAR)
    }
}

impl Clock for EngineClock {
    #[inline]
    fn now(&self) -> Time {
        self.time(Instant::now())
    }
}
