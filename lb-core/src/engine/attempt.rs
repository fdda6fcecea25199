//! One attempt of a call: who was picked for it, and what the engine keeps of it while it runs.

use std::sync::Arc;

use super::call::Call;
use super::clock::EngineClock;
use super::picked::{Picked, record};
use super::retry::{Retry, Step};
use super::terms::Terms;
use crate::failure::{Classifier, Failure};
use crate::instance::ServiceInstance;
use crate::member::{Held, Member};
use crate::plan::AttemptLimit;
use crate::pool::Published;
use crate::strategy::Outcome;
use crate::time::{Clock, Time};
use crate::trail::{Attempt, Trail, Why};

/// Who was picked, and what is to be kept in mind of it. A pair, so that it comes back in registers.
pub(super) struct Taken<I: ServiceInstance> {
    pub(super) held: Held<I>,
    pub(super) facts: Facts,
}

/// What is to be kept in mind of an attempt. One word: flags of their own would be written one by one and read together,
/// for which the processor has to wait.
#[derive(Clone, Copy)]
pub(super) struct Facts(u32);

impl Facts {
    /// Somebody wants to know of a success.
    pub(super) const MEASURED: u32 = 1;
    /// A second attempt may be made beside this one.
    pub(super) const HEDGED: u32 = 1 << 1;

    #[inline]
    pub(super) fn new(measured: bool, hedged: bool) -> Self {
        let flag = |is: bool, flag| if is { flag } else { 0 };
        Self(flag(measured, Self::MEASURED) | flag(hedged, Self::HEDGED))
    }

    #[inline]
    pub(super) fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

/// An attempt that begins.
pub(super) struct Begun<I: ServiceInstance> {
    pub(super) taken: Taken<I>,
    pub(super) terms: Terms,
    pub(super) why: Why,
}

impl<I: ServiceInstance> Begun<I> {
    /// The instance for the closure, and what the engine keeps.
    pub(super) fn start(self) -> (Picked<I>, Running<'static, I>) {
        let Self { taken: Taken { held, .. }, terms, why } = self;
        let running = Running::new(None, &held, &terms, why);
        (Picked::new(terms, held), running)
    }
}

/// How an attempt holds its instance.
enum Hold<'p, I> {
    /// By what the pick has read.
    Basis(&'p Published<I>, &'p Arc<Member<I>>),
    /// By a reference of its own.
    Member(Arc<Member<I>>),
}

/// What the engine keeps of an attempt. Records it as cancelled if it is dropped, or panics, before it is over.
pub(super) struct Running<'p, I: ServiceInstance> {
    hold: Hold<'p, I>,
    clock: EngineClock,
    started: Time,
    limit: Option<AttemptLimit>,
    why: Why,
    over: bool,
}

impl<'p, I: ServiceInstance> Running<'p, I> {
    /// `basis`: what `held` was picked from, if that is kept.
    #[inline]
    pub(super) fn new(
        basis: Option<(&'p Published<I>, &'p Arc<Member<I>>)>,
        held: &Held<I>,
        terms: &Terms,
        why: Why,
    ) -> Self {
        let hold = match basis {
            Some((published, member)) => Hold::Basis(published, member),
            None => Hold::Member(Arc::clone(held.member())),
        };
        Self { hold, clock: terms.clock, started: terms.started, limit: terms.limit(), why, over: false }
    }

    /// The same with a reference of its own to the instance.
    pub(super) fn into_owned(mut self) -> Running<'static, I> {
        let Self { clock, started, limit, why, over, .. } = self;
        let hold = Hold::Member(Arc::clone(self.member()));
        self.over = true;
        Running { hold, clock, started, limit, why, over }
    }

    #[inline]
    pub(super) fn member(&self) -> &Arc<Member<I>> {
        match &self.hold {
            Hold::Basis(_, member) => member,
            Hold::Member(member) => member,
        }
    }

    pub(super) fn limit(&self) -> Option<AttemptLimit> {
        self.limit
    }

    pub(super) fn id(&self) -> &str {
        self.member().id()
    }

    pub(super) fn service(&self) -> &str {
        self.member().service()
    }

    /// The closure has returned: takes a success in. A failure is the caller's to take in.
    #[inline]
    pub(super) fn judge<T, E, C: Classifier<T, E>>(
        &mut self,
        call: &Call<'_, I, C>,
        facts: Facts,
        result: &Result<T, E>,
        retry: Option<&mut Retry<'_, I, C>>,
        trail: &mut Option<&mut Trail>,
    ) -> Option<Step<I>> {
        if let Some(failure) = call.options.classifier.classify(result) {
            return Some(self.end(failure, false));
        }
        self.over = true;
        if facts.has(Facts::MEASURED) || trail.is_some() || self.member().state().gate().wants_success() {
            self.succeeded(retry, trail.as_deref_mut());
        }
        None
    }

    /// The attempt has failed; what is done about it is the caller's.
    #[cold]
    pub(super) fn end(&mut self, failure: Failure, timed_out: bool) -> Step<I> {
        self.over = true;
        let (member, now) = (Arc::clone(self.member()), self.clock.now());
        Step { member, failure, at: self.started, now, limit: self.limit, why: self.why, timed_out }
    }

    /// Takes a success in that somebody wants to know of.
    fn succeeded<C>(&self, retry: Option<&mut Retry<'_, I, C>>, trail: Option<&mut Trail>) {
        let (member, now) = (self.member(), self.clock.now());
        let elapsed = now.since(self.started);
        let timeout = self.limit.map(|limit| limit.at.since(self.started));
        let outcome = Outcome::success(elapsed).with_timeout(timeout).ended_at(now);
        match self.hold {
            Hold::Basis(published, member) => member.home().record_in(published, member, &outcome, now),
            Hold::Member(ref member) => member.home().record(member, &outcome, now),
        };
        if let Some(trail) = trail {
            *trail = retry.map(Retry::take_trail).unwrap_or_default();
            trail.0.push(Attempt::new(member, None, elapsed, self.why));
        }
    }

    #[cold]
    fn cancelled(&self) {
        let now = self.clock.now();
        record(self.member(), &Outcome::cancelled(now.since(self.started)), now);
    }
}

impl<I: ServiceInstance> Drop for Running<'_, I> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            self.cancelled();
        }
    }
}
