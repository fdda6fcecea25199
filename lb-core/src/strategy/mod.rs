//! How to choose: [`Strategy`] makes a [`Picker`] whenever the set of members changes; the picker is asked for each
//! attempt.
//!
//! A strategy of your own is about ten lines:
//!
//! ```
//! use lb_core::strategy::{Candidates, MemberSet, Picker, Slot, Strategy};
//!
//! /// The member with the fewest requests in flight.
//! struct LeastBusy;
//! struct LeastBusyPicker<I>(MemberSet<I>);
//!
//! impl<I: Send + Sync + 'static> Strategy<I> for LeastBusy {
//!     fn picker(&self, set: &MemberSet<I>, _: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
//!         Box::new(LeastBusyPicker(set.clone()))
//!     }
//! }
//!
//! impl<I: Send + Sync + 'static> Picker<I> for LeastBusyPicker<I> {
//!     fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
//!         candidates.eligible(&self.0).min_by_key(|(_, member)| member.in_flight()).map(|(slot, _)| slot)
//!     }
//! }
//! ```

mod background;
mod candidates;
mod factory;
mod outcome;
mod rota;
mod round_robin;
mod skew;

use std::any::Any;
use std::sync::Arc;

pub use background::Background;
pub use candidates::{Candidates, Exclusions, PickRequest};
pub use factory::{CoreStrategies, StrategyError, StrategyFactory};
pub use outcome::{Outcome, OutcomeKind};
pub use round_robin::RoundRobin;
pub use skew::{MILD_SKEW, skew};

pub use crate::member::{Member, MemberSet, Seat, Slot, Weights};

/// How to choose among instances. One object may serve many services: state belongs into the picker or, if it shall
/// survive changes of the set, into [`Member::ext`].
pub trait Strategy<I>: Send + Sync + 'static {
    /// Makes the picker for a set of members. Called on the side of whoever changed the set, never by a pick; may be
    /// as expensive as it needs to be. `previous` is this service's picker so far (perhaps another strategy's), to
    /// carry over a position; see [`previous_as`].
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>>;

    /// The name in statistics and logs. Default: the type's name.
    fn name(&self) -> &str {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name)
    }
}

/// Chooses for one set of members. Called from many threads at once; must not block, and should take no lock and not
/// allocate.
pub trait Picker<I>: Any + Send + Sync {
    /// The slot to try, or `None` if there is no eligible one. What is returned must be eligible
    /// ([`Candidates::is_eligible`]); the engine excludes what is not and asks again.
    ///
    /// Skipping what is not eligible must not pile its share onto a neighbour: with k of N ineligible the others stay
    /// even. [`Candidates::any_eligible`] is a fair last resort.
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot>;

    /// A request has been given to the member (its in-flight count includes it).
    fn on_start(&self, member: &Member<I>) {
        let _ = member;
    }

    /// An attempt has ended.
    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        let _ = (member, outcome);
    }

    /// Which of the hooks this picker has a use for. Default: all. What is not asked for is not done, and the clock
    /// is not read for it.
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    /// What is to be done beside picks while this picker is in force; a decorator passes on those of its inner pickers.
    /// Default: nothing. Asked once, when the picker has come into force.
    fn background(&self) -> Vec<Arc<dyn Background>> {
        Vec::new()
    }
}

/// Which hooks of a [`Picker`] are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Call [`Picker::on_start`].
    pub starts: bool,
    /// Call [`Picker::on_outcome`], with the latency.
    pub outcomes: bool,
}

impl Interest {
    /// No hook.
    pub const NONE: Self = Self { starts: false, outcomes: false };
    /// All hooks.
    pub const ALL: Self = Self { starts: true, outcomes: true };
    /// Only the end of an attempt.
    pub const OUTCOMES: Self = Self { starts: false, outcomes: true };
}

/// The previous picker, if it is of type `P`.
pub fn previous_as<P: 'static, I: 'static>(previous: Option<&dyn Picker<I>>) -> Option<&P> {
    (previous? as &dyn Any).downcast_ref()
}

impl<I, S: Strategy<I> + ?Sized> Strategy<I> for Arc<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        (**self).picker(set, previous)
    }
    fn name(&self) -> &str {
        (**self).name()
    }
}

impl<I, S: Strategy<I> + ?Sized> Strategy<I> for Box<S> {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        (**self).picker(set, previous)
    }
    fn name(&self) -> &str {
        (**self).name()
    }
}
