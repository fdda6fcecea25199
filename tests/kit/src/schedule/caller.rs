//! The calls that must be served whatever happens.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lb_core::{Instance, LoadBalancer, RequestError, ServiceRegistry};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::drill::{SERVICE, SharedLedger};
use super::ledger::Rule;

/// How often a call is made.
const EVERY: Duration = Duration::from_millis(2);
/// How often a balancer begins to use the service anew.
const LOOK_UP_EVERY: Duration = Duration::from_millis(250);
/// After so long a call that waits is given up.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Calls the service through one balancer, for ever. Ends when it is aborted.
pub(super) async fn call(balancer: LoadBalancer<Instance>, ledger: SharedLedger) -> Infallible {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let started = Instant::now();
        let mut call = pin!(balancer.execute(SERVICE, |_picked| async { Ok::<_, RequestError>(()) }));
        // The closure is done at once, so a call that is not done at its first poll waits for something else. That
        // says more than a clock, which counts what the machine does besides.
        let at_once = poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(served) => Poll::Ready(Some(served)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        let served = if let Some(served) = at_once {
            served.map_err(|error| error.to_string())
        } else {
            let served = timeout(GIVEN_UP, call).await;
            let what = format!("a call waited for {:.1?}", started.elapsed());
            ledger.lock().violated(Rule::NoWaiting, what, Instant::now());
            served.map_or(Ok(()), |served| served.map_err(|error| error.to_string()))
        };
        let mut ledger = ledger.lock();
        ledger.calls += 1;
        if let Err(error) = served {
            ledger.violated(Rule::Served, error, Instant::now());
        }
    }
}

/// Begins to watch the service again and again, for ever: as a balancer does that is new, or that has not used it for
/// long. Ends when it is aborted.
pub(super) async fn look_up(
    registry: Arc<dyn ServiceRegistry<Instance>>,
    bound: Duration,
    ledger: SharedLedger,
) -> Infallible {
    let mut ticks = interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let what = match timeout(bound, registry.watch(SERVICE)).await {
            Ok(Ok(watch)) if watch.current().entries.is_empty() => "a new watch begins empty".to_owned(),
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => format!("no new watch: {error}"),
            Err(_) => format!("no new watch within {bound:?}"),
        };
        ledger.lock().violated(Rule::LookUp, what, Instant::now());
    }
}
