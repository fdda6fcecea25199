//! Two attempts at once: the first that succeeds wins. When, and how often, is decided in [`crate::hedge`].

use std::pin::pin;
use std::time::Duration;

use super::attempt::{Begun, Running};
use super::call::Call;
use super::limited::until;
use super::picked::Picked;
use super::retry::Retry;
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::plan::AttemptLimit;
use crate::time::Clock;

/// What an attempt came to; `None`: it took too long.
type Ended<T, E> = Option<Result<T, E>>;

/// Goes on with the first attempt and, if it has no answer after `after`, a second one beside it. Returns the attempt that
/// decides and what it came to. The other one is dropped with this future's state and counts as cancelled; if it had
/// failed before, that was taken in.
///
/// Cancel-safe, and spawns nothing: both attempts live in this future.
pub(super) async fn race<'a, I, C, T, E, F, Fut>(
    call: Call<'a, I, C>,
    retry: &mut Option<Box<Retry<'a, I, C>>>,
    first: Running<'static, I>,
    future: impl Future<Output = Result<T, E>>,
    f: &mut F,
    after: Duration,
) -> (Running<'static, I>, Ended<T, E>)
where
    I: ServiceInstance,
    C: Classifier<T, E>,
    F: FnMut(Picked<I>) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let mut first_end = pin!(limited(call, first.limit(), future));
    tokio::select! {
        biased;
        end = &mut first_end => return (first, end),
        () = tokio::time::sleep(after) => {}
    }
    let retry = retry.get_or_insert_with(|| Box::new(Retry::after_first(call)));
    let Some(begun) = retry.hedge(&first).await else {
        return (first, first_end.await);
    };
    let (picked, second) = begun.start();
    tracing::debug!(service = second.service(), instance = second.id(), ?after, "attempt hedged");
    let mut second_end = pin!(limited(call, second.limit(), f(picked)));
    tokio::select! {
        biased;
        end = &mut first_end => match undecided(call, &end) {
            None => (first, end),
            Some(failure) => {
                retry.take_in(first, failure, end.is_none());
                (second, second_end.await)
            }
        },
        end = &mut second_end => match undecided(call, &end) {
            None => (second, end),
            Some(failure) => {
                retry.take_in(second, failure, end.is_none());
                (first, first_end.await)
            }
        },
    }
}

/// Awaits an attempt, up to its limit.
async fn limited<I: ServiceInstance, C, T, E>(
    call: Call<'_, I, C>,
    limit: Option<AttemptLimit>,
    attempt: impl Future<Output = Result<T, E>>,
) -> Ended<T, E> {
    match limit {
        None => Some(attempt.await),
        Some(limit) => until(call.clock().instant(limit.at), pin!(attempt)).await,
    }
}

/// The failure after which the other attempt may still save the call; `None` if this end decides it: a success, or a
/// failure that no instance could do better on.
fn undecided<I: ServiceInstance, C, T, E>(call: Call<'_, I, C>, end: &Ended<T, E>) -> Option<Failure>
where
    C: Classifier<T, E>,
{
    let failure = match end {
        Some(result) => call.options.classifier.classify(result)?,
        None => Failure::timeout(),
    };
    failure.kind().is_retryable(true).then_some(failure)
}

impl<I: ServiceInstance, C> Retry<'_, I, C> {
    /// Picks somebody else for a second attempt, if the service's hedging, the call's retries and the instances allow
    /// it. Does not overtake calls that wait.
    async fn hedge(&mut self, first: &Running<'_, I>) -> Option<Begun<I>> {
        let call = self.call();
        let (served, plan) = self.resolve().await.ok()?;
        if !served.queue.is_empty() || !plan.may_go_on(call.clock().now()) {
            return None;
        }
        let published = served.published();
        let hedger = published.hedger.as_ref()?;
        if !hedger.may_hedge(call.clock().now()) {
            return None;
        }
        plan.leave_out(first.member());
        let begun = call.try_again(&served, plan);
        if begun.is_none() {
            hedger.refund();
        }
        begun
    }
}
