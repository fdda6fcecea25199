//! One announcement, as its keeper sees it: [`Kept`].

use std::sync::Arc;

use super::action::Announced;
use crate::registry::entry::InstanceState;
use crate::registry::shared::backoff::Backoff;
use crate::registry::shared::record::{Generation, Record};
use crate::time::Time;

/// One announcement.
#[allow(clippy::struct_excessive_bools, reason = "four facts that are independent of each other")]
pub(super) struct Kept<I> {
    pub(super) service: Arc<str>,
    pub(super) id: Arc<str>,
    pub(super) instance: Arc<I>,
    pub(super) generation: Generation,
    pub(super) state: InstanceState,
    pub(super) aim: Aim,
    /// Which version of it is wanted in the store; grows with every change.
    pub(super) wanted: u64,
    /// What is in the store, as far as we know.
    pub(super) stored: Option<Stored>,
    /// Whether something of it may be in the store, known or not.
    pub(super) may_exist: bool,
    /// Whether it was written once; until then it takes the id over from whoever has it.
    pub(super) established: bool,
    /// Whether a step about it is on its way.
    pub(super) busy: bool,
    /// Not before this is it tried again, or beaten.
    pub(super) retry_at: Time,
    pub(super) backoff: Backoff,
    /// The lease under which it was last written.
    pub(super) lease: Option<u64>,
    /// The latest revision at which it was seen to be gone, since the last write was sent.
    pub(super) gone_at: u64,
    /// When it was last written.
    pub(super) written_at: Time,
    /// Whether nobody holds it any more: it is forgotten as soon as nothing is to be done for it.
    pub(super) released: bool,
}

/// What is wanted of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// That it is there.
    Present,
    /// That it is not.
    Absent,
    /// Nothing any more: it was taken over, or taken out by somebody.
    Nothing(End),
}

/// Why an announcement is nobody's business any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Taken,
    Deregistered,
}

/// What is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) version: u64,
    pub(super) state: InstanceState,
    pub(super) revision: u64,
}

impl<I> Kept<I> {
    pub(super) fn new(
        service: Arc<str>,
        id: Arc<str>,
        instance: Arc<I>,
        generation: Generation,
        backoff: Backoff,
    ) -> Self {
        Self {
            service,
            id,
            instance,
            generation,
            state: InstanceState::Ready,
            aim: Aim::Present,
            wanted: 1,
            stored: None,
            may_exist: false,
            established: false,
            busy: false,
            retry_at: Time::ORIGIN,
            backoff,
            lease: None,
            gone_at: 0,
            written_at: Time::ORIGIN,
            released: false,
        }
    }

    pub(super) fn announced(&self, lease: Option<u64>) -> Announced {
        Announced {
            service: Arc::clone(&self.service),
            id: Arc::clone(&self.id),
            generation: self.generation,
            lease,
            former_lease: self.lease.filter(|&former| Some(former) != lease),
        }
    }

    pub(super) fn record(&self, state: InstanceState) -> Record<I> {
        Record::new(Arc::clone(&self.instance), self.generation).with_state(state)
    }

    /// Whether what is wanted is in the store.
    pub(super) fn is_settled(&self) -> bool {
        self.stored.is_some_and(|stored| stored.version == self.wanted)
    }

    pub(super) fn is(&self, service: &str, id: &str) -> bool {
        *self.service == *service && *self.id == *id
    }

    /// Nobody's business any more.
    pub(super) fn end(&mut self, end: End) {
        self.aim = Aim::Nothing(end);
        self.stored = None;
        self.may_exist = false;
    }

    /// Whether it is over, but something of it may still be on its way or in the store.
    pub(super) fn is_ending(&self) -> bool {
        (self.busy || self.may_exist) && matches!(self.aim, Aim::Nothing(_))
    }

    /// Whether it can be forgotten.
    pub(super) fn is_over(&self) -> bool {
        self.released && !self.busy && !self.may_exist && matches!(self.aim, Aim::Nothing(_))
    }
}
