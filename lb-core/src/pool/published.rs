//! What picks read: one immutable value per version of the set.

use std::fmt;
use std::sync::Arc;

use crate::config::CallPolicy;
use crate::hedge::Hedger;
use crate::member::MemberSet;
use crate::registry::Snapshot;
use crate::strategy::{Interest, Picker, Strategy};

/// Everything a pick needs, consistent in itself: the members, the picker made for exactly them, and the policy.
pub(crate) struct Published<I> {
    pub(crate) set: MemberSet<I>,
    pub(crate) picker: Arc<dyn Picker<I>>,
    pub(crate) interest: Interest,
    pub(crate) policy: CallPolicy,
    pub(crate) strategy: Arc<dyn Strategy<I>>,
    pub(crate) snapshot: Arc<Snapshot<I>>,
    pub(crate) hedger: Option<Arc<Hedger>>,
}

impl<I> fmt::Debug for Published<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("set", &self.set)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
