//! `tower`: power of two choices, by requests in flight or by Peak EWMA, called directly (`&mut`) or through a buffer (shared).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Runtime;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::{Discover, ServiceList};
use tower::load::{CompleteOnResponse, Load, PeakEwmaDiscover, PendingRequestsDiscover};
use tower::{BoxError, Service, ServiceExt};

use crate::Way;
use crate::measure::Case;

pub(crate) const PENDING: &str = "tower: p2c, pending requests, direct";
pub(crate) const EWMA: &str = "tower: p2c, peak ewma, direct";
pub(crate) const BUFFERED_PENDING: &str = "tower: p2c, pending requests, buffer";
pub(crate) const BUFFERED_EWMA: &str = "tower: p2c, peak ewma, buffer";

pub(crate) fn ways(runtime: &Runtime) -> Vec<Way<'_>> {
    vec![
        (PENDING, Box::new(|n| direct(runtime, pending(n)))),
        (EWMA, Box::new(|n| direct(runtime, ewma(n)))),
        (BUFFERED_PENDING, Box::new(|n| buffered(runtime, pending(n)))),
        (BUFFERED_EWMA, Box::new(|n| buffered(runtime, ewma(n)))),
    ]
}

/// An instance that answers at once.
#[derive(Clone)]
struct Instant(u32);

impl Service<()> for Instant {
    type Response = u32;
    type Error = Infallible;
    type Future = Ready<Result<u32, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(black_box(self.0)))
    }
}

type List = ServiceList<Vec<Instant>>;

fn list(n: usize) -> List {
    ServiceList::new((0..n as u32).map(Instant).collect::<Vec<_>>())
}

fn pending(n: usize) -> PendingRequestsDiscover<List> {
    PendingRequestsDiscover::new(list(n), CompleteOnResponse::default())
}

fn ewma(n: usize) -> PeakEwmaDiscover<List> {
    let (rtt, decay) = (Duration::from_millis(10), Duration::from_secs(10));
    PeakEwmaDiscover::new(list(n), rtt, decay, CompleteOnResponse::default())
}

fn direct<'a, D>(runtime: &'a Runtime, discover: D) -> Case<'a>
where
    D: Discover + Unpin + 'a,
    D::Key: std::hash::Hash + Clone + Unpin,
    D::Error: Into<BoxError>,
    D::Service: Service<(), Response = u32> + Load + Unpin,
    <D::Service as Service<()>>::Error: Into<BoxError>,
    <D::Service as Load>::Metric: std::fmt::Debug,
{
    let mut balance = Balance::new(discover);
    Case::new("", move |count| {
        runtime.block_on(async {
            for _ in 0..count {
                let ready = balance.ready().await.unwrap_or_else(|_| panic!("ready"));
                black_box(ready.call(()).await.unwrap_or_else(|_| panic!("answers")));
            }
        });
    })
}

fn buffered<'a, D>(runtime: &'a Runtime, discover: D) -> Case<'a>
where
    D: Discover + Unpin + Send + 'static,
    D::Key: std::hash::Hash + Clone + Unpin + Send,
    D::Error: Into<BoxError>,
    D::Service: Service<(), Response = u32> + Load + Unpin + Send,
    <D::Service as Service<()>>::Error: Into<BoxError>,
    <D::Service as Service<()>>::Future: Send,
    <D::Service as Load>::Metric: std::fmt::Debug,
{
    let _inside = runtime.enter();
    let buffer = Buffer::new(Balance::new(discover), 1_024);
    Case::new("", move |count| {
        runtime.block_on(async {
            let mut buffer = buffer.clone();
            for _ in 0..count {
                let ready = buffer.ready().await.unwrap_or_else(|_| panic!("ready"));
                black_box(ready.call(()).await.unwrap_or_else(|_| panic!("answers")));
            }
        });
    })
}
