//! What an answer means for what it is about: the other half of [`Keeper`].

use super::action::{Answer, Notice};
use super::kept::{Aim, End, Kept, Stored};
use super::lease::Held;
use super::machine::{Doing, Keeper, KeptId};
use crate::instance::ServiceInstance;
use crate::random::RandomSource;
use crate::time::Time;

impl<I: ServiceInstance> Keeper<I> {
    pub(super) fn lease_answered(
        &mut self,
        doing: Doing,
        answer: Answer,
        now: Time,
        random: &dyn RandomSource,
    ) {
        match (doing, answer) {
            (Doing::Grant, Answer::Granted { lease, ttl }) => {
                self.lease.renewed(Held { id: lease, beat: ttl / 3 }, now);
            }
            (Doing::Revoke, _) => self.lease.lost(now),
            (Doing::KeepAlive, Answer::Done { .. } | Answer::Granted { .. }) => {
                if let Some(held) = self.lease.held {
                    self.lease.renewed(held, now);
                }
            }
            (Doing::KeepAlive, Answer::Lost) => self.lease_lost(now),
            (_, answer) => {
                self.lease.retry_at = now + self.lease.backoff.next(random);
                if let (Doing::Grant, Answer::Failed(error)) = (doing, answer) {
                    // Nothing can be written: who waits for that is told.
                    let unsettled = |kept: &Kept<I>| kept.aim == Aim::Present && !kept.is_settled();
                    let waiting = self.kept.iter().filter(|(_, kept)| unsettled(kept));
                    self.notices.extend(waiting.map(|(&id, _)| Notice::Failed(id, error.clone())));
                }
            }
        }
    }

    /// The lease is gone, and with it all that was written under it.
    fn lease_lost(&mut self, now: Time) {
        self.lease.lost(now);
        for kept in self.kept.values_mut() {
            kept.stored = None;
            kept.retry_at = now;
        }
    }

    pub(super) fn put_answered(
        &mut self,
        doing: Doing,
        answer: Answer,
        now: Time,
        random: &dyn RandomSource,
    ) {
        let Doing::Put { id, version, state, lease } = doing else { return };
        if let Answer::Done { .. } | Answer::Granted { .. } = answer {
            self.written_over(id);
        }
        let (current, beat) = (self.lease.id(), self.options.beat());
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        let over = matches!(kept.aim, Aim::Nothing(_));
        match answer {
            Answer::Done { .. } | Answer::Granted { .. } | Answer::Failed(_) if over => {
                kept.may_exist = true;
                kept.lease = lease;
            }
            _ if over => self.tidy(id),
            Answer::Done { revision } | Answer::Granted { lease: revision, .. } => {
                self.re_registrations += u64::from(kept.established && kept.stored.is_none());
                kept.established = true;
                kept.lease = lease;
                kept.written_at = now;
                // Not if the lease was lost, or the key was seen to be gone, while this was on its way.
                let seen_gone = kept.gone_at > revision && revision > 0;
                if lease == current && !seen_gone {
                    kept.stored = Some(Stored { version, state, revision });
                }
                if kept.aim == Aim::Absent {
                    kept.retry_at = now;
                } else if seen_gone {
                    kept.retry_at = now + kept.backoff.next(random);
                } else {
                    kept.backoff.reset();
                    kept.retry_at = if kept.is_settled() { now + beat } else { now };
                    if kept.is_settled() {
                        self.notices.push(Notice::Written(id));
                    }
                }
            }
            Answer::Taken => self.end(id, End::Taken),
            Answer::Deregistered => self.end(id, End::Deregistered),
            Answer::Lost => {
                kept.retry_at = now + kept.backoff.next(random);
                if lease == current && lease.is_some() {
                    self.lease_lost(now);
                }
            }
            Answer::Failed(error) => {
                kept.retry_at = now + kept.backoff.next(random);
                self.notices.push(Notice::Failed(id, error));
            }
        }
    }

    /// An announcement was written, and so over what those before it left.
    fn written_over(&mut self, by: KeptId) {
        let former = self.kept.iter().filter(|(_, kept)| kept.heir == Some(by));
        let former: Vec<_> = former.map(|(&former, _)| former).collect();
        for former in former {
            if let Some(kept) = self.kept.get_mut(&former) {
                kept.may_exist = false;
            }
            self.tidy(former);
        }
    }

    pub(super) fn beat_answered(&mut self, id: KeptId, answer: Answer, now: Time, random: &dyn RandomSource) {
        let beat = self.options.beat();
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        match (kept.aim, answer) {
            (Aim::Nothing(_), _) => self.tidy(id),
            (_, Answer::Taken) => self.end(id, End::Taken),
            (_, Answer::Deregistered) => self.end(id, End::Deregistered),
            (Aim::Absent, _) => kept.retry_at = now,
            (Aim::Present, Answer::Done { .. } | Answer::Granted { .. }) => {
                kept.backoff.reset();
                kept.retry_at = if kept.is_settled() { now + beat } else { now };
            }
            (Aim::Present, Answer::Lost) => {
                kept.stored = None;
                kept.retry_at = now;
            }
            (Aim::Present, Answer::Failed(_)) => kept.retry_at = now + kept.backoff.next(random),
        }
    }

    pub(super) fn delete_answered(
        &mut self,
        id: KeptId,
        answer: Answer,
        now: Time,
        random: &dyn RandomSource,
    ) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.busy = false;
        if let Answer::Failed(error) = answer {
            kept.retry_at = now + kept.backoff.next(random);
            if kept.aim == Aim::Absent {
                self.notices.push(Notice::Failed(id, error));
            }
            return;
        }
        kept.may_exist = false;
        if kept.aim == Aim::Absent {
            self.left(id);
        } else {
            self.tidy(id);
        }
    }
}
