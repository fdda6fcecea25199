//! The runtime's time, in the terms of the decisions.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use crate::time::{Clock, Time};

/// Reads tokio's clock, so that paused time in tests is seen. One `clock_gettime` (about 20 ns) in production.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineClock {
    epoch: Instant,
}

/// Where the clock starts: later than [`Time::ORIGIN`], which stands for "never".
const START: Time = Time::from_nanos(SECOND);
const SECOND: u64 = 1_000_000_000;

impl EngineClock {
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// The time of a runtime's instant.
    #[inline]
    pub(crate) fn time(&self, instant: Instant) -> Time {
        if are_two_numbers() {
            Time::from_nanos((nanos(instant).saturating_sub(nanos(self.epoch))).saturating_add(SECOND))
        } else {
            START + instant.saturating_duration_since(self.epoch)
        }
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

/// The nanoseconds of an instant since whatever its clock counts from, if instants [are two numbers](are_two_numbers).
///
/// The difference of two instants is sixty instructions and three calls into the standard library; a call by name takes
/// 3 % longer with it, one with a strategy that goes by load 4 %. An instant shows its numbers to nobody but to who
/// hashes it.
#[inline]
fn nanos(instant: Instant) -> u64 {
    let mut numbers = Numbers(0);
    instant.hash(&mut numbers);
    numbers.0
}

/// Whether instants are what they seem to be: a number of seconds and a number of nanoseconds, hashed in this order. It is
/// so on Linux and promised nowhere, so it is tried, once.
#[inline]
fn are_two_numbers() -> bool {
    static THEY_ARE: OnceLock<bool> = OnceLock::new();
    *THEY_ARE.get_or_init(|| {
        let now = Instant::now();
        let is_right = |after: Duration| {
            let then = now.checked_add(after)?;
            Some(u128::from(nanos(then).wrapping_sub(nanos(now))) == after.as_nanos())
        };
        [1, 999_999_999, SECOND, 3_600 * SECOND + 1, 1 << 56]
            .into_iter()
            .all(|after| is_right(Duration::from_nanos(after)) == Some(true))
    })
}

/// Takes in what an instant hashes.
struct Numbers(u64);

impl Numbers {
    #[inline]
    fn seconds(&mut self, seconds: u64) {
        self.0 = self.0.wrapping_add(seconds.wrapping_mul(SECOND));
    }
}

impl Hasher for Numbers {
    #[inline]
    fn write_i64(&mut self, seconds: i64) {
        self.seconds(seconds.cast_unsigned());
    }

    #[inline]
    fn write_u64(&mut self, seconds: u64) {
        self.seconds(seconds);
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.0 = self.0.wrapping_add(nanos.into());
    }

    /// Something else: it will be found out.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.wrapping_add(bytes.len() as u64 + 1);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_difference_of_two_instants() {
        assert!(are_two_numbers(), "correct without, but slower");
        let clock = EngineClock::start();
        for nanos in [0, 1, 999_999_998, SECOND, 90_061 * SECOND + 999_999_999] {
            let time = START + Duration::from_nanos(nanos);
            assert_eq!(clock.time(clock.epoch + Duration::from_nanos(nanos)), time);
            assert_eq!(clock.time(clock.instant(time)), time);
        }
        // A paused clock may stand where the balancer was not built yet.
        assert_eq!(clock.time(clock.epoch - Duration::from_nanos(1)), START);
    }
}
