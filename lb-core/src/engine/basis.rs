//! What an attempt was picked from: [`Basis`].

use std::sync::Arc;

use arc_swap::Guard;

use super::roster::Found;
use crate::member::{Member, Slot};
use crate::pool::Published;

/// What the first attempt of a call was picked from, for as long as nobody had to wait.
///
/// Who runs an attempt needs the instance until it is over. As a rule that takes a reference of its own, two locked
/// instructions on a line that all who use the instance write. An answer that is there at the first poll can do with what
/// the pick has read, which costs nothing more. Not kept over a wait: it holds a whole set, and each thread can hold only
/// eight at this price.
pub(super) struct Basis<I>(Read<I>);

enum Read<I> {
    Nothing,
    /// A service by name.
    Found(Found<I>, Slot),
    /// What a service has published, by a handle on that.
    Published(Guard<Arc<Published<I>>>, Slot),
}

impl<I> Basis<I> {
    /// Nothing: attempts hold their instance themselves.
    pub(super) const NONE: Self = Self(Read::Nothing);

    #[inline]
    pub(super) fn by_name(found: Found<I>, slot: Slot) -> Self {
        Self(Read::Found(found, slot))
    }

    #[inline]
    pub(super) fn by_handle(published: Guard<Arc<Published<I>>>, slot: Slot) -> Self {
        Self(Read::Published(published, slot))
    }

    /// Who was picked, and from what.
    #[inline]
    pub(super) fn get(&self) -> Option<(&Published<I>, &Arc<Member<I>>)> {
        let (published, slot) = match &self.0 {
            Read::Nothing => return None,
            Read::Found(found, slot) => (found.published(), *slot),
            Read::Published(published, slot) => (&***published, *slot),
        };
        Some((published, published.set.member(slot)?))
    }

    /// Lets go of it.
    #[inline]
    pub(super) fn release(&mut self) {
        self.0 = Read::Nothing;
    }
}
