//! Doing what a retry plan says, until somebody is picked or the call is over.

use tokio::time::Instant;

use super::attempt::Begun;
use super::call::Call;
use super::ending::End;
use super::served::Served;
use super::terms::Terms;
use crate::instance::ServiceInstance;
use crate::plan::{Next, RetryPlan};
use crate::pool::NoPick;
use crate::time::{Clock, Time};
use crate::trail::Why;

impl<I: ServiceInstance, C> Call<'_, I, C> {
    /// Picks somebody for an attempt beside the one that is running.
    pub(super) fn try_again(self, served: &Served<I>, plan: &mut RetryPlan) -> Option<Begun<I>> {
        pick(self, plan, served, Why::Hedge).ok()
    }
}

/// Picks without standing in line.
fn pick<I: ServiceInstance, C>(
    call: Call<'_, I, C>,
    plan: &mut RetryPlan,
    served: &Served<I>,
    why: Why,
) -> Result<Begun<I>, NoPick> {
    let (published, at) = (served.published(), call.clock().now());
    let (_, lease) = call.acquire(served, &published, plan.exclusions(), at)?;
    let limit = plan.started(at);
    served.pool().meters().again(why);
    let taken = call.take(lease, &published, limit.is_some(), plan.attempts());
    let terms = Terms::new(call.clock(), at, limit, call.options.cost, plan.attempts());
    Ok(Begun { taken, terms, why })
}

/// Does what the plan says until somebody is picked.
pub(super) async fn follow<I: ServiceInstance, C>(
    call: Call<'_, I, C>,
    plan: &mut RetryPlan,
    served: &Served<I>,
    mut next: Next,
    why: Why,
) -> Result<Begun<I>, End> {
    loop {
        match next {
            Next::Stop(stop) => return Err(stop.into()),
            Next::Attempt => {}
            Next::Wait { until, wakes: false } => tokio::time::sleep_until(call.clock().instant(until)).await,
            Next::Wait { wakes: true, .. } => {
                next = match stand_in_line(call, plan, served, why).await? {
                    Ok(begun) => return Ok(begun),
                    Err(next) => next,
                };
                continue;
            }
        }
        next = if served.queue.is_empty() {
            match pick(call, plan, served, why) {
                Ok(begun) => return Ok(begun),
                Err(nobody) => plan.nobody(nobody, served.pool(), call.clock().now(), &call.inner.random),
            }
        } else {
            Next::LINE
        };
    }
}

/// Waits in line for somebody to become available. `Ok(Err(next))`: the plan wants something else than to wait here.
async fn stand_in_line<I: ServiceInstance, C>(
    call: Call<'_, I, C>,
    plan: &mut RetryPlan,
    served: &Served<I>,
    why: Why,
) -> Result<Result<Begun<I>, Next>, End> {
    let clock = call.clock();
    let Some(ticket) = served.queue.enter(plan.policy().max_waiting) else {
        let now = clock.now();
        let at = served.pool().available_at(call.options.cost, now).filter(|at| *at != Time::MAX);
        return Err(End::Overloaded(at.map(|at| at.since(now))));
    };
    served.drive();
    let gives_up = clock.instant(plan.gives_up_waiting_at(clock.now()));
    let _waited = Waited { since: Instant::now(), served };
    let turn = tokio::time::timeout_at(gives_up, ticket.turn()).await;
    // Registered before the look: whoever makes room from here on wakes this call.
    let waiting = call.inner.directory.context().signal.wait();
    loop {
        let news = waiting.notified();
        let nobody = match turn.is_ok().then(|| pick(call, plan, served, why)) {
            Some(Ok(begun)) => return Ok(Ok(begun)),
            Some(Err(nobody)) => nobody,
            None => NoPick::NoneEligible,
        };
        match plan.nobody(nobody, served.pool(), clock.now(), &call.inner.random) {
            Next::Wait { until, wakes: true } if turn.is_ok() => {
                tokio::select! {
                    () = news => {}
                    () = tokio::time::sleep_until(clock.instant(until)) => {}
                }
            }
            next => return Ok(Err(next)),
        }
    }
}

/// Measures the time in line, however it ends.
struct Waited<'a, I: ServiceInstance> {
    since: Instant,
    served: &'a Served<I>,
}

impl<I: ServiceInstance> Drop for Waited<'_, I> {
    fn drop(&mut self) {
        self.served.pool().meters().waited(self.since.elapsed());
    }
}
