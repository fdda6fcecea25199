//! How announcements are kept in Redis: [`Announcements`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use lb_core::ServiceInstance;
use lb_core::registry::RegistryError;
use lb_core::registry::shared::{Action, Announced, AnnouncementStore, Answer, Step, Ticket};

use crate::core::{KEEP_OVERRIDES, Mode, Writer, unexpected};
use crate::scripts::{self, BEAT, beat_statuses};

/// So many instances of a service beat in one script. More would hold up others; fewer would cost more.
const AT_ONCE: usize = 128;
/// So many writes are on their way at once.
const WRITES: usize = 512;
/// Who beats reaps at most so many who have expired.
const REAP: u64 = 64;

/// Carries out in Redis what the keeper of announcements decides.
pub(crate) struct Announcements<I> {
    pub(crate) writer: Arc<Writer<I>>,
    pub(crate) ttl: Duration,
}

type Beats = BTreeMap<Arc<str>, Vec<(Ticket, Announced)>>;

#[async_trait]
impl<I: ServiceInstance> AnnouncementStore<I> for Announcements<I> {
    async fn perform(&self, steps: Vec<Step<I>>) -> Vec<(Ticket, Answer)> {
        let mut beats = Beats::new();
        let mut others = Vec::new();
        for Step { ticket, action, .. } in steps {
            match action {
                Action::Beat(of) => beats.entry(Arc::clone(&of.service)).or_default().push((ticket, of)),
                action => others.push((ticket, action)),
            }
        }
        let batches: Vec<_> = beats
            .iter()
            .flat_map(|(service, all)| all.chunks(AT_ONCE).map(move |some| (service, some)))
            .collect();
        let mut answers = Vec::new();
        for batches in batches.chunks(WRITES) {
            let beaten = join_all(batches.iter().map(|(service, some)| self.beat(service, some))).await;
            answers.extend(beaten.into_iter().flatten());
        }
        let mut others = others.into_iter().peekable();
        while others.peek().is_some() {
            let some = others.by_ref().take(WRITES);
            let done = some.map(|(ticket, action)| async move { (ticket, self.one(action).await) });
            answers.extend(join_all(done).await);
        }
        answers
    }
}

impl<I: ServiceInstance> Announcements<I> {
    /// Keeps some instances of one service alive.
    async fn beat(&self, service: &str, some: &[(Ticket, Announced)]) -> Vec<(Ticket, Answer)> {
        let keys = self.writer.namespace.service(service);
        let mut call = self
            .writer
            .call(&BEAT, &keys)
            .number(self.ttl.as_millis() as u64)
            .number(REAP)
            .number(KEEP_OVERRIDES.as_millis() as u64);
        for (_, of) in some {
            call = call.arg(of.id.as_bytes()).arg(of.generation.owner_text());
        }
        let result = self.writer.link.call(&call).await;
        let statuses = result
            .map_err(|error| RegistryError::backend("keep alive", service, error))
            .and_then(|value| beat_statuses(&value).ok_or_else(|| unexpected("keep alive", service)));
        match statuses {
            Ok(statuses) => {
                some.iter().zip(statuses).map(|((ticket, _), status)| (*ticket, answer(status, 0))).collect()
            }
            Err(error) => some.iter().map(|(ticket, _)| (*ticket, Answer::Failed(error.clone()))).collect(),
        }
    }

    async fn one(&self, action: Action<I>) -> Answer {
        match action {
            Action::Put { of, record, takes_over } => {
                let mode = if takes_over { Mode::Any } else { Mode::Restore };
                let put = self.writer.put(&of.service, &record, of.generation, Some(self.ttl), mode).await;
                put.map_or_else(Answer::Failed, |(status, revision)| answer(status, revision.get()))
            }
            Action::Delete(of) => {
                let removed = self.writer.remove(&of.service, &of.id, Some(of.generation)).await;
                removed.map_or_else(Answer::Failed, |status| answer(status, 0))
            }
            // Announcements have no lease in common here, so nothing else is asked for.
            _ => Answer::DONE,
        }
    }
}

fn answer(status: scripts::Answer, revision: u64) -> Answer {
    match status {
        scripts::Answer::Done => Answer::Done { revision },
        scripts::Answer::Absent => Answer::Lost,
        scripts::Answer::Removed => Answer::Deregistered,
        scripts::Answer::TakenOver | scripts::Answer::Conflict => Answer::Taken,
    }
}
