//! What is remembered of instances that left.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::member::MemberState;
use crate::time::Time;

/// How long: an instance that comes back within that time (a flapping registry, a restart) finds its state.
const REMEMBER: Duration = Duration::from_secs(300);
/// How many at most, or as many as there are members, if those are more.
const AT_LEAST: usize = 1024;

/// States of instances that left, by id.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    states: HashMap<Arc<str>, (Time, Arc<MemberState>), foldhash::fast::RandomState>,
    /// In the order of leaving. An id that came back and left again is in here twice; the newer time counts.
    order: VecDeque<(Time, Arc<str>)>,
}

impl Departed {
    pub(crate) fn remember(&mut self, state: &Arc<MemberState>, now: Time) {
        self.order.push_back((now, Arc::clone(state.id())));
        self.states.insert(Arc::clone(state.id()), (now, Arc::clone(state)));
    }

    pub(crate) fn recall(&mut self, id: &str) -> Option<Arc<MemberState>> {
        self.states.remove(id).map(|(_, state)| state)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<MemberState>> {
        self.states.get(id).map(|(_, state)| state)
    }

    pub(crate) fn forget(&mut self, members: usize, now: Time) {
        let room = members.max(AT_LEAST);
        while let Some((left, id)) = self.order.front() {
            if now.since(*left) < REMEMBER && self.order.len() <= room {
                break;
            }
            if self.states.get(id).is_some_and(|(time, _)| time == left) {
                self.states.remove(id);
            }
            self.order.pop_front();
        }
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &Arc<MemberState>> {
        self.states.values().map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_not_too_many() {
        let state = |n: u64| Arc::new(MemberState::new(format!("{n}").into(), n));
        let mut departed = Departed::default();
        let start = Time::from_nanos(1);
        for n in 0..5_000 {
            departed.remember(&state(n), start);
        }
        departed.forget(0, start);
        assert_eq!(departed.states().count(), AT_LEAST);
        assert!(departed.recall("0").is_none(), "the first to leave are the first forgotten");
        assert!(departed.recall("4999").is_some());
        departed.forget(0, start + REMEMBER);
        assert_eq!(departed.states().count(), 0);
    }

    #[test]
    fn leaving_again_starts_anew() {
        let mut departed = Departed::default();
        let state = Arc::new(MemberState::new("a".into(), 1));
        departed.remember(&state, Time::ORIGIN);
        assert!(departed.recall("a").is_some());
        let later = Time::after_origin(REMEMBER);
        departed.remember(&state, later);
        departed.forget(0, later);
        assert!(departed.recall("a").is_some());
    }
}
