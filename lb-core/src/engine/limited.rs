//! Attempts that something ends: a timer is made only for those that are not over at once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

/// Polls once, and says what came of it. Who is told `Pending` goes on with [`Polled`].
#[inline]
pub(super) fn poll_once<F: Future>(mut future: Pin<&mut F>) -> impl Future<Output = Poll<F::Output>> {
    poll_fn(move |cx| Poll::Ready(future.as_mut().poll(cx)))
}

/// A future that [has just been polled](poll_once), in the same turn of its task: not polled again until that is woken.
pub(super) struct Polled<'a, F> {
    future: Pin<&'a mut F>,
    in_this_turn: bool,
}

impl<'a, F> Polled<'a, F> {
    pub(super) fn new(future: Pin<&'a mut F>) -> Self {
        Self { future, in_this_turn: true }
    }
}

impl<F: Future> Future for Polled<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if std::mem::take(&mut self.in_this_turn) { Poll::Pending } else { self.future.as_mut().poll(cx) }
    }
}

/// Awaits `future` until `end`; `None`: it took longer. The timer, most of what a limit costs, is made when `future` has
/// been polled once and was not over: many an answer comes from a cache.
///
/// What is over at `end` is taken, as with [`tokio::time::timeout_at`]. The timer does not count against the task's
/// budget, so that a future that always uses it up is ended all the same. Cancel-safe if `future` is.
#[inline]
pub(super) async fn until<F: Future>(end: Instant, mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut timer = pin!(None);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if timer.is_none() {
            timer.set(Some(unconstrained(sleep_until(end))));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}
