//! The right to one request on one member: [`Lease`].

use std::fmt;
use std::sync::Arc;

use super::member::Member;
use crate::time::{LazyNow, Time};

/// One request on one member, counted in flight for as long as this lives. It owns the member, not an index, so it
/// releases exactly what it acquired whatever happens to the set.
pub struct Lease<I> {
    member: Arc<Member<I>>,
    ordinal: u64,
}

impl<I> Lease<I> {
    /// Counts a request in, if the member's quota has room; else says when to try again.
    #[inline]
    pub(crate) fn acquire(member: &Arc<Member<I>>, cost: u64, now: &LazyNow<'_>) -> Result<Self, Time> {
        if let Some(group) = member.quota_group() {
            group.try_acquire(cost, now)?;
        }
        let ordinal = member.state().start();
        Ok(Self { member: Arc::clone(member), ordinal })
    }

    /// The member.
    #[inline]
    pub fn member(&self) -> &Arc<Member<I>> {
        &self.member
    }

    /// How many requests the member had been given before this one.
    #[inline]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }
}

impl<I> Drop for Lease<I> {
    #[inline]
    fn drop(&mut self) {
        self.member.state().finish();
        if let Some(group) = self.member.quota_group() {
            group.release();
            // Only a limit on concurrency makes room when a request ends.
            self.member.signal().wake_waiting();
        }
        if self.member.state().gate().is_awaited() {
            self.member.signal().wake_waiting();
        }
    }
}

impl<I> fmt::Debug for Lease<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("member", &self.member.id()).finish_non_exhaustive()
    }
}
