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

    pub(crate) fn forget(&mut self, members: usize, now: Time) {
        let room = members.max(AT_LEAST);
        for _ in 0..self.order.len() {
            let Some((left, id)) = self.order.front() else { break };
            // Came back, or left again since: what is in here says nothing any more.
            let stale = self.states.get(id).is_none_or(|(time, _)| time != left);
            if !stale && now.since(*left) < REMEMBER && self.states.len() <= room {
                break;
            }
            let Some((left, id)) = self.order.pop_front() else { break };
            match self.states.get(&id) {
                // Somebody is still on it: its counters must not get lost.
                Some((_, state)) if !stale && state.in_flight() > 0 => self.order.push_back((left, id)),
                Some(_) if !stale => drop(self.states.remove(&id)),
                _ => {}
            }
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
    fn what_still_runs_is_not_forgotten() {
        let mut departed = Departed::default();
        let busy = Arc::new(MemberState::new("busy".into(), 0));
        busy.start();
        departed.remember(&busy, Time::ORIGIN);
        for n in 1..3_000 {
            departed.remember(&Arc::new(MemberState::new(format!("{n}").into(), n)), Time::from_nanos(n));
        }
        departed.forget(0, Time::from_nanos(3_000));
        assert!(departed.states().any(|state| &**state.id() == "busy"));
        busy.finish();
        departed.forget(0, Time::MAX);
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
