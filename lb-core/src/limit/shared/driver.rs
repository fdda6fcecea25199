//! The async side: [`SharedLimiters`], and the task that fetches leases.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::SharedLimits;
use super::limiter::{SharedLimiter, local_part};
use super::state::State;
use crate::limit::{DeclaredLimiters, Limiter, LimiterFactory};
use crate::limits::Limits;

/// What limiters tell the driver.
pub(super) enum Order {
    /// Fetch leases for this key, as long as it is used.
    Tend(Arc<State>),
    /// Tell everybody that this key rests.
    Rest(Arc<str>, Duration),
}

/// How long the store may take for a lease before this process goes by its fair share.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a store that does not answer is asked again.
const AWAY: Duration = Duration::from_secs(1);

/// Limiters whose quotas are shared by all processes that use the same store, and the rests, too. Give it to
/// [`Builder::limiters`](crate::Builder::limiters).
///
/// - **Shared** are requests and tokens per minute, and rests after a refusal with a
///   [`Retry-After`](crate::Failure::retry_after), of a quota group or of an instance without one. Not shared is
///   concurrency: each process counts its own.
/// - **Cost.** A request takes from a lease in memory: a few atomic operations, no await. Only the first request after a
///   pause waits for the store, one round trip.
/// - **Declare the same everywhere.** The quota is what the calling process declares for the key; for all members of a
///   group, and in all processes, it should be the same.
/// - **Without the store** each process goes by its fair share: the quota divided by the processes that used it last.
///   Rests are then known only where they were learned.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use lb_core::limit::{Lease, LeaseRequest, SharedLimiters, SharedLimits};
/// use lb_core::RegistryError;
///
/// /// A store that grants everything; a real one is shared.
/// struct Generous;
///
/// #[async_trait]
/// impl SharedLimits for Generous {
///     async fn lease(&self, _key: &str, request: LeaseRequest) -> Result<Lease, RegistryError> {
///         Ok(Lease::new(request.requests, request.tokens))
///     }
///     async fn rest(&self, _key: &str, _remaining: Duration) -> Result<(), RegistryError> {
///         Ok(())
///     }
///     fn follow(&self, _key: &str, _listener: Box<dyn Fn(Duration) + Send + Sync>) -> Box<dyn Send + Sync> {
///         Box::new(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limiters = SharedLimiters::new(Arc::new(Generous));
/// # drop(limiters);
/// # }
/// ```
pub struct SharedLimiters {
    store: Arc<dyn SharedLimits>,
    local: Arc<dyn LimiterFactory>,
    orders: mpsc::UnboundedSender<Order>,
}

impl SharedLimiters {
    /// Limiters that share their quotas through `store`. Concurrency is counted by [`DeclaredLimiters`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime: leases are fetched by a task. It ends with the last limiter.
    pub fn new(store: Arc<dyn SharedLimits>) -> Self {
        Self::with_local(store, Arc::new(DeclaredLimiters))
    }

    /// The same, with `local` for what each process counts or learns by itself. Its limiters are not told the rates.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn with_local(store: Arc<dyn SharedLimits>, local: Arc<dyn LimiterFactory>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(drive(Arc::clone(&store), received));
        Self { store, local, orders }
    }
}

impl LimiterFactory for SharedLimiters {
    fn limiter(&self, key: &str, limits: Limits) -> Option<Arc<dyn Limiter>> {
        let state = Arc::new(State::new(key, limits));
        let weak = Arc::downgrade(&state);
        let following = self.store.follow(
            key,
            Box::new(move |remaining| {
                if let Some(state) = Weak::upgrade(&weak) {
                    state.rest_for(remaining);
                }
            }),
        );
        Some(Arc::new(SharedLimiter {
            state,
            local: self.local.limiter(key, local_part(limits)),
            orders: self.orders.clone(),
            _following: following,
        }))
    }
}

impl fmt::Debug for SharedLimiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimiters").finish_non_exhaustive()
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Does what limiters order, until none is left.
async fn drive(store: Arc<dyn SharedLimits>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut work: FuturesUnordered<Work> = FuturesUnordered::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Tend(state)) => work.push(Box::pin(tend(Arc::clone(&store), state))),
                Some(Order::Rest(key, remaining)) => work.push(Box::pin(tell(Arc::clone(&store), key, remaining))),
                None => return,
            },
            Some(()) = work.next() => {}
        }
    }
}

async fn tell(store: Arc<dyn SharedLimits>, key: Arc<str>, remaining: Duration) {
    if let Err(error) = store.rest(&key, remaining).await {
        warn!(%key, %error, "a rest could not be told to other processes");
    }
}

/// Keeps a lease at hand while the key is used.
async fn tend(store: Arc<dyn SharedLimits>, state: Arc<State>) {
    loop {
        let now = Instant::now();
        let away = state.is_away();
        let Some(request) = (if away { state.probe() } else { state.plan(now) }) else {
            // Nobody uses it, or it is not limited any more.
            if state.stops() {
                continue;
            }
            return;
        };
        let next = match timeout(PATIENCE, store.lease(&state.key, request)).await {
            Ok(Ok(lease)) => {
                if away {
                    info!(key = %state.key, "the shared quota can be asked again");
                }
                state.granted(&lease, &request, now)
            }
            failed => {
                if !away {
                    let why = failed.map_or_else(
                        |_| "no answer in time".to_owned(),
                        |r| match r {
                            Ok(_) => String::new(),
                            Err(error) => error.to_string(),
                        },
                    );
                    warn!(key = %state.key, why, "the shared quota cannot be asked; going by the fair share");
                }
                state.unanswered();
                now + AWAY
            }
        };
        if Arc::strong_count(&state) == 1 {
            // The limiter is gone. What is left of the lease is forgotten, and comes back with the rate.
            return;
        }
        // Not more often than every millisecond, whoever signals.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if state.is_away() {
            sleep_until(next).await;
        } else if state.is_short() {
            // The store has said when there is something; asking earlier is in vain.
            sleep_until(next).await;
        } else {
            tokio::select! {
                () = sleep_until(next) => {}
                () = state.signal.notified() => {}
            }
        }
    }
}
