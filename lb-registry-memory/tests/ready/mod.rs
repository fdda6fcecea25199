//! Futures that do not wait.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What a future is ready with when it is first polled. Panics if it waits: this registry never does.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call to the registry in memory waits"),
    }
}
