//! Sends the requests: so many at a time, so many a second.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::outcome::Outcome;

/// How fast to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) requests: usize,
    pub(crate) concurrency: usize,
    /// Requests begun per second at the most. With it, every way to send meets the same troubles for the same time,
    /// however quick it is itself.
    pub(crate) rate: Option<f64>,
}

/// Runs `request` for every number from 0; `before` is told of each before it begins, and `after` of every outcome.
///
/// # Errors
///
/// What `after` returns, at once.
pub(crate) async fn drive<F, E>(
    pace: Pace,
    request: impl Fn(usize) -> F,
    mut before: impl AsyncFnMut(usize),
    mut after: impl FnMut(Outcome) -> Result<(), E>,
) -> Result<Duration, E>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let started = Instant::now();
    let mut running = JoinSet::new();
    for index in 0..pace.requests {
        if let Some(rate) = pace.rate {
            tokio::time::sleep_until(started + Duration::from_secs_f64(index as f64 / rate)).await;
        }
        while let Some(outcome) = running.try_join_next() {
            after(unwrapped(outcome))?;
        }
        if running.len() >= pace.concurrency
            && let Some(outcome) = running.join_next().await
        {
            after(unwrapped(outcome))?;
        }
        before(index).await;
        running.spawn(request(index));
    }
    while let Some(outcome) = running.join_next().await {
        after(unwrapped(outcome))?;
    }
    Ok(started.elapsed())
}

/// A request that panics is a bug, and must not pass for one that was answered.
fn unwrapped(outcome: Result<Outcome, JoinError>) -> Outcome {
    outcome.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
