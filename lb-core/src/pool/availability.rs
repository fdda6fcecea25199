//! When somebody can be picked again, where nobody can be now.

use super::pool::Pool;
use crate::instance::ServiceInstance;
use crate::member::RestReason;
use crate::strategy::Exclusions;
use crate::time::Time;

impl<I: ServiceInstance> Pool<I> {
    /// The earliest time at which somebody could be picked by a new round: `now` if somebody can at once, `None` if
    /// there is nobody at all. O(1) while most members are available, else O(n).
    pub fn available_at(&self, cost: u64, now: Time) -> Option<Time> {
        let published = self.home().published.load();
        let mut earliest: Option<Time> = None;
        for (_, member) in published.set.iter() {
            let at = member.available_at(cost, now);
            if at <= now {
                return Some(now);
            }
            earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
        }
        earliest
    }

    /// The earliest time at which somebody could be picked whom the call has not tried in this round; `None` if it has
    /// tried all, or nobody knows. O(n).
    pub(crate) fn untried_available_at(&self, tried: &Exclusions, cost: u64, now: Time) -> Option<Time> {
        let published = self.home().published.load();
        let untried = published.set.iter().filter(|(_, member)| !tried.contains(member));
        untried.map(|(_, member)| member.available_at(cost, now)).min().filter(|at| *at != Time::MAX)
    }

    /// If all instances are set aside as unusable, the earliest time at which one is probed again. Nothing to wait for:
    /// a wrong key does not mend itself. O(1) while one is not; else O(n).
    pub fn all_unusable(&self, now: Time) -> Option<Time> {
        let published = self.home().published.load();
        let mut earliest: Option<Time> = None;
        for (_, member) in published.set.iter() {
            match member.resting(now) {
                Some((left, RestReason::Unusable)) => {
                    earliest = Some(earliest.map_or(now + left, |at| at.min(now + left)));
                }
                _ => return None,
            }
        }
        earliest
    }
}
