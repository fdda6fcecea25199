//! The task that keeps announcements alive: [`tend`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use lb_core::ServiceInstance;
use lb_core::registry::shared::Backoff;
use tokio::time::Instant;

use super::decide::Fate;
use super::kept::{Keeping, Kept};
use super::lease::Heartbeat;
use crate::client::{EtcdError, EtcdErrorKind};
use crate::store::Begin;

/// How many keys are written at a time.
const AT_A_TIME: usize = 16;
/// Waits after failures: short, because the time-to-live runs.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Sends signs of life, writes again what is lost and takes out what was dropped; until nobody has a handle any more and
/// everything has been taken out, or has run out.
pub(crate) async fn tend<I: ServiceInstance>(keeping: Arc<Keeping<I>>) {
    tokio::select! {
        () = keep_written(&keeping) => {}
        () = keep_alive(&keeping) => {}
    }
}

async fn keep_written<I: ServiceInstance>(keeping: &Arc<Keeping<I>>) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut give_up = None;
    loop {
        let work = keeping.work();
        let restored = stream::iter(work.doubtful)
            .map(|kept| restore(keeping, kept))
            .buffer_unordered(AT_A_TIME)
            .fold(true, async |all, one| all & one)
            .await;
        let dropped = stream::iter(work.dropped)
            .map(|kept| take_out(keeping, kept))
            .buffer_unordered(AT_A_TIME)
            .fold(true, async |all, one| all & one)
            .await;
        let well = restored && dropped;
        if keeping.is_empty() {
            keeping.lease.give_back(&keeping.store.pool, || keeping.is_empty()).await;
        }
        if keeping.is_closed() {
            let over = *give_up.get_or_insert_with(|| Instant::now() + keeping.lease.ttl());
            if keeping.is_empty() || Instant::now() >= over {
                return;
            }
        }
        if well {
            backoff.reset();
            keeping.wake.notified().await;
        } else {
            tokio::time::sleep(backoff.next(&*keeping.random)).await;
        }
    }
}

/// Never returns.
async fn keep_alive<I: ServiceInstance>(keeping: &Keeping<I>) {
    let mut heartbeat = Heartbeat::default();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let period = keeping.lease.ttl() / 3;
    loop {
        match sign_of_life(keeping, &mut heartbeat).await {
            Ok(()) => {
                backoff.reset();
                tokio::time::sleep(period).await;
            }
            Err(error) => {
                keeping.catalog.counters().failed();
                tracing::debug!(%error, "keeping the lease");
                tokio::time::sleep(backoff.next(&*keeping.random)).await;
            }
        }
    }
}

/// One sign of life, from whichever member takes it. A lease that is lost is replaced.
async fn sign_of_life<I: ServiceInstance>(
    keeping: &Keeping<I>,
    heartbeat: &mut Heartbeat,
) -> Result<(), EtcdError> {
    let Some(lease) = keeping.lease.known() else { return Ok(()) };
    let pool = &keeping.store.pool;
    let mut last = heartbeat.beat(pool, lease).await;
    for _ in 1..pool.len() {
        match &last {
            Err(error) if error.kind() != EtcdErrorKind::LeaseNotFound => {
                last = heartbeat.beat(pool, lease).await;
            }
            _ => break,
        }
    }
    match last {
        Err(error) if error.kind() == EtcdErrorKind::LeaseNotFound => {
            if keeping.lease.lose(lease).await {
                keeping.doubt_all();
            }
            Ok(())
        }
        result => result,
    }
}

/// Sees to it that a key is there. Whether that is settled.
async fn restore<I: ServiceInstance>(keeping: &Keeping<I>, kept: Arc<Kept<I>>) -> bool {
    let written = kept.written.lock().await;
    if !keeping.is_current(&kept) {
        return true;
    }
    let (service, id) = (&*kept.name.0, &*kept.name.1);
    let result = keeping
        .write(&kept, &written.value, "announce", Begin::Read, |mine, found, _| mine.restore(found))
        .await;
    match result {
        Ok((Fate::There, _)) => true,
        Ok((Fate::Restored, revision)) => {
            keeping.catalog.counters().re_registered();
            tracing::info!(service, id, revision, "announced again, because etcd had lost it");
            true
        }
        Ok((fate @ (Fate::TakenOut | Fate::TakenOver | Fate::Gone), _)) => {
            tracing::info!(service, id, ?fate, "no longer announced");
            keeping.forget(&kept);
            true
        }
        Err(error) => {
            keeping.catalog.counters().failed();
            tracing::debug!(service, id, %error, "announcing again");
            keeping.doubt(kept.name.clone());
            false
        }
    }
}

/// Takes an instance out whose handle was dropped. Whether that is settled.
async fn take_out<I: ServiceInstance>(keeping: &Keeping<I>, kept: Arc<Kept<I>>) -> bool {
    match keeping.take_out(&kept).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(service = &*kept.name.0, id = &*kept.name.1, %error, "taking out");
            keeping.abandon(kept);
            false
        }
    }
}
