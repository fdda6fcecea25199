//! The right to one request on one member: [`Lease`].

use std::fmt;
use std::sync::Arc;

use super::member::Member;
use crate::time::{LazyNow, Time};

/// One request on one member, counted in flight for as long as this lives. It owns the member, not an index, so it
/// releases exactly what it acquired whatever happens to the set.
pub struct Lease<I> {
    held: Held<I>,
    ordinal: u64,
}

/// The part of a [`Lease`] that counts.
pub(crate) struct Held<I>(Arc<Member<I>>);

impl<I> Lease<I> {
    /// Counts a request in, if the member's quota has room; else says when to try again.
    #[inline]
    pub(crate) fn acquire(member: &Arc<Member<I>>, cost: u64, now: &LazyNow<'_>) -> Result<Self, Time> {
        if let Some(group) = member.quota_group() {
            group.try_acquire(cost, now)?;
        }
        let ordinal = member.state().start();
        Ok(Self { held: Held(Arc::clone(member)), ordinal })
    }

    /// The member.
    #[inline]
    pub fn member(&self) -> &Arc<Member<I>> {
        self.held.member()
    }

    /// How many requests the member had been given before this one.
    #[inline]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    #[inline]
    pub(crate) fn into_held(self) -> Held<I> {
        self.held
    }
}

impl<I> Held<I> {
    #[inline]
    pub(crate) fn member(&self) -> &Arc<Member<I>> {
        &self.0
    }
}

impl<I> Drop for Held<I> {
    #[inline]
    fn drop(&mut self) {
        self.0.state().finish();
        if let Some(group) = self.0.quota_group() {
            group.release();
            // Only a limit on concurrency makes room when a request ends.
            self.0.signal().wake_waiting();
        }
    }
}

impl<I> fmt::Debug for Lease<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("member", &self.member().id()).finish_non_exhaustive()
    }
}
