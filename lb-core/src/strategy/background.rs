//! Work that a strategy does beside picks: [`Background`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::time::Clock;

/// What a picker wants done beside picks, because it takes time: asking members how they are, say.
///
/// A pick must not wait. A strategy that learns from elsewhere than from outcomes returns one of these from
/// [`Picker::background`](super::Picker::background); the engine runs it in a task of its own, from the first call to
/// the service on and for as long as a picker of that service names the same object (the same `Arc`). Then the future is
/// dropped, wherever it is: what it has spawned must end with it (a [`JoinSet`](tokio::task::JoinSet) does). If it ends by
/// itself it is begun anew with the next change of the set. Nothing is run where there is no engine: who drives a
/// [`Pool`](crate::pool::Pool) without one asks it for [what is wanted](crate::pool::Pool::background), and a strategy must
/// do without.
///
/// ```
/// use std::pin::Pin;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
/// use lb_core::Clock;
/// use lb_core::strategy::Background;
///
/// /// Counts seconds.
/// struct Seconds(AtomicU64);
///
/// impl Background for Seconds {
///     fn run(self: Arc<Self>, _: Arc<dyn Clock>, _: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         Box::pin(async move {
///             loop {
///                 tokio::time::sleep(Duration::from_secs(1)).await;
///                 self.0.fetch_add(1, Ordering::Relaxed);
///             }
///         })
///     }
/// }
/// ```
pub trait Background: Send + Sync + 'static {
    /// The work. `clock` tells the time as picks see it; `seed` is for chance, so that a seeded balancer repeats itself.
    fn run(self: Arc<Self>, clock: Arc<dyn Clock>, seed: u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
