//! When which instance is checked next: [`Schedule`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crate::config::HealthCheckConfig;
use crate::member::{Member, MemberSet};
use crate::random::RandomSource;
use crate::time::Time;

/// When which instance is checked next. Knows neither clock nor runtime.
///
/// The first checks of a set are spread evenly over one interval, and each interval is jittered: neither the instances
/// of one process nor the processes of a fleet are checked in step.
pub(crate) struct Schedule<I> {
    due: BinaryHeap<Reverse<(Time, u64)>>,
    /// By token. A member that left is dropped here, and its place in `due` when that comes up.
    members: HashMap<u64, Arc<Member<I>>, foldhash::fast::RandomState>,
}

impl<I> Default for Schedule<I> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), members: HashMap::default() }
    }
}

impl<I> Schedule<I> {
    /// Takes over who is there. Who is new gets its first check within one interval. O(n).
    pub(crate) fn sync(
        &mut self,
        set: &MemberSet<I>,
        config: &HealthCheckConfig,
        now: Time,
        random: &dyn RandomSource,
    ) {
        let mut old = std::mem::take(&mut self.members);
        for (_, member) in set.iter() {
            let token = member.state().token();
            if old.remove(&token).is_none() {
                self.due.push(Reverse((now + config.interval.mul_f64(random.unit()), token)));
            }
            self.members.insert(token, Arc::clone(member.member()));
        }
    }

    /// Takes out the next member that is due at `now`. It is checked again when [`done`](Self::done) says so.
    pub(crate) fn next(&mut self, now: Time) -> Option<Arc<Member<I>>> {
        while let Some(Reverse((at, token))) = self.due.peek().copied() {
            if at > now {
                return None;
            }
            self.due.pop();
            if let Some(member) = self.members.get(&token) {
                return Some(Arc::clone(member));
            }
        }
        None
    }

    /// When the next member is due; `None`: there is none.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The check of a member has ended.
    pub(crate) fn done(
        &mut self,
        token: u64,
        config: &HealthCheckConfig,
        now: Time,
        random: &dyn RandomSource,
    ) {
        if self.members.contains_key(&token) {
            let factor = 1.0 + config.jitter * (2.0 * random.unit() - 1.0);
            self.due.push(Reverse((now + config.interval.mul_f64(factor), token)));
        }
    }
}
