//! Waiting for something to become true, with a bound.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};

/// How often one looks.
const EVERY: Duration = Duration::from_millis(10);

/// Waits until `check` gives something, and returns it with the time it took. Looks every 10 ms, and once more at the
/// end of `bound`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let mut looks = 0;
/// let (looks, took) = lb_testkit::eventually("the third look", Duration::from_secs(5), || {
///     looks += 1;
///     (looks == 3).then_some(looks)
/// })
/// .await
/// .expect("three looks take less than five seconds");
/// assert_eq!(looks, 3);
/// assert!(took < Duration::from_secs(5));
/// # });
/// ```
///
/// # Errors
///
/// It was not so within `bound`; the message names `what`.
pub async fn eventually<T>(
    what: &str,
    bound: Duration,
    mut check: impl FnMut() -> Option<T>,
) -> Result<(T, Duration)> {
    eventually_async(what, bound, || std::future::ready(check())).await
}

/// The same with a check that takes its time. It is given what is left of `bound`, and cut off then.
///
/// # Errors
///
/// As [`eventually`].
pub async fn eventually_async<T, Fut: Future<Output = Option<T>>>(
    what: &str,
    bound: Duration,
    mut check: impl FnMut() -> Fut,
) -> Result<(T, Duration)> {
    let started = Instant::now();
    loop {
        let left = bound.saturating_sub(started.elapsed());
        if let Ok(Some(found)) = tokio::time::timeout(left, check()).await {
            return Ok((found, started.elapsed()));
        }
        if started.elapsed() >= bound {
            return Err(Error::new(format!("{what}: not within {bound:?}")));
        }
        sleep(EVERY.min(left)).await;
    }
}
