//! The task that checks the instances of one service.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;

use super::clock::EngineClock;
use super::served::Served;
use crate::check::{CheckFailed, HealthCheck, Schedule};
use crate::instance::ServiceInstance;
use crate::member::Member;
use crate::time::{Clock, Time};

/// Checks that run at the same time, per service.
const AT_ONCE: usize = 64;
/// How often it looks whether the set or the configuration has changed, at most.
const LOOK: Duration = Duration::from_secs(1);

/// Who was checked, and what came of it.
type Ended<I> = (Arc<Member<I>>, Result<(), CheckFailed>);

/// Checks the instances of a service for as long as it is in use. Dropping the future ends the checks that run.
pub(super) async fn run<I: ServiceInstance>(
    check: Arc<dyn HealthCheck<I>>,
    served: Weak<Served<I>>,
    clock: EngineClock,
) {
    let mut schedule = Schedule::default();
    let mut running: JoinSet<Ended<I>> = JoinSet::new();
    let mut seen = None;
    loop {
        let wake = {
            let Some(served) = served.upgrade() else { return };
            let (config, now) = (served.pool().health_check(), clock.now());
            if !config.enabled {
                (schedule, seen) = (Schedule::default(), None);
                running.abort_all();
            } else if seen.as_ref().is_none_or(|seen| !served.pool().is_set(seen)) {
                let set = served.pool().members();
                schedule.sync(&set, &config, now, served.pool().chance());
                seen = Some(set);
            }
            while running.len() < AT_ONCE
                && let Some(member) = schedule.next(now)
            {
                running.spawn(one(Arc::clone(&check), member, config.timeout));
            }
            let look = now + LOOK.min(config.interval);
            // Without room for more, the end of a check is what to wait for.
            let due = schedule.next_at().filter(|_| running.len() < AT_ONCE);
            due.map_or(look, |due: Time| due.min(look))
        };
        tokio::select! {
            Some(ended) = running.join_next() => {
                let (Ok((member, result)), Some(served)) = (ended, served.upgrade()) else { continue };
                let now = clock.now();
                tell(&member, &result);
                let pool = served.pool();
                pool.checked(&member, result.is_ok(), now);
                schedule.done(member.state().token(), &pool.health_check(), now, pool.chance());
            }
            () = tokio::time::sleep_until(clock.instant(wake)) => {}
        }
    }
}

/// One check. Its own task: what a check does, even a panic, is no concern of the others.
async fn one<I: ServiceInstance>(
    check: Arc<dyn HealthCheck<I>>,
    member: Arc<Member<I>>,
    timeout: Duration,
) -> Ended<I> {
    let subject = Arc::clone(&member);
    let task = async move { check.check(subject.service(), subject.instance()).await };
    let mut task = AbortOnDrop(tokio::spawn(task));
    let result = match tokio::time::timeout(timeout, &mut task.0).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(CheckFailed::new("the check panicked")),
        Err(_) => Err(CheckFailed::new(format!("no answer within {timeout:?}"))),
    };
    (member, result)
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell<I>(member: &Member<I>, result: &Result<(), CheckFailed>) {
    if let Err(reason) = result {
        tracing::debug!(service = %member.service(), instance = %member.id(), %reason, "health check failed");
    }
}
