//! A provider that grants so many requests a second, as providers do: by a bucket that refills continuously, or by fixed
//! windows. A refused request uses nothing up.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How a provider counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// A bucket that holds what is granted in this time (at least one request), and refills continuously.
    Bucket(Duration),
    /// So much in each window of this length, all of it at its beginning.
    Window(Duration),
}

/// One account's quota.
#[derive(Debug)]
pub(crate) struct Quota {
    rate: f64,
    counting: Counting,
    left: Cell<f64>,
    as_of: Cell<Instant>,
}

impl Quota {
    pub(crate) fn new(rate: f64, counting: Counting) -> Self {
        let quota = Self { rate, counting, left: Cell::new(0.0), as_of: Cell::new(Instant::now()) };
        quota.left.set(quota.capacity());
        quota
    }

    /// The most that passes at once.
    pub(crate) fn capacity(&self) -> f64 {
        match self.counting {
            Counting::Bucket(time) | Counting::Window(time) => (self.rate * time.as_secs_f64()).max(1.0),
        }
    }

    /// Takes one request, or says when that will be possible.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let elapsed = now.duration_since(self.as_of.get());
        match self.counting {
            Counting::Bucket(_) => {
                let left = self.left.get() + elapsed.as_secs_f64() * self.rate;
                self.left.set(left.min(self.capacity()));
                self.as_of.set(now);
            }
            Counting::Window(length) => {
                let windows = elapsed.as_nanos() / length.as_nanos();
                if windows > 0 {
                    self.left.set(self.capacity());
                    self.as_of.set(self.as_of.get() + length * windows as u32);
                }
            }
        }
        // What rounding to nanoseconds has taken away is granted.
        if self.left.get() >= 1.0 - 1e-6 {
            self.left.set(self.left.get() - 1.0);
            return Ok(());
        }
        Err(match self.counting {
            Counting::Bucket(_) => Duration::from_secs_f64((1.0 - self.left.get()) / self.rate),
            Counting::Window(length) => length.saturating_sub(now.duration_since(self.as_of.get())),
        })
    }

    /// Requests that are left.
    pub(crate) fn left(&self) -> u64 {
        self.left.get() as u64
    }

    /// How long it takes until nothing is used any more.
    pub(crate) fn reset(&self) -> Duration {
        match self.counting {
            Counting::Bucket(_) => Duration::from_secs_f64((self.capacity() - self.left.get()) / self.rate),
            Counting::Window(length) => length.saturating_sub(self.as_of.get().elapsed()),
        }
    }
}
