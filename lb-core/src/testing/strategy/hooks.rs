//! What else a strategy is told: the picker before, and how attempts ended.

use std::sync::Arc;
use std::time::Duration;

use super::bench::StrategyBench;
use super::lab::Lab;
use crate::failure::{Failure, FailureKind};
use crate::instance::Instance;
use crate::strategy::{Candidates, Exclusions, Outcome, Picker, Slot};

/// A picker of a type that no strategy knows.
struct Foreign;

impl Picker<Instance> for Foreign {
    fn pick(&self, _: &Candidates<'_, Instance>) -> Option<Slot> {
        None
    }
}

/// `previous` may be another strategy's: the strategy of a service can be changed while it runs.
pub(super) fn the_picker_of_another_strategy_is_tolerated(lab: &Lab<'_>) {
    for n in [0, 1, 3] {
        let bench = lab.equal(n);
        let set = bench.set();
        let picker = bench.strategy().picker(&set, Some(&Foreign));
        for _ in 0..10 {
            assert_eq!(bench.pick_by(&*picker, &set, &Exclusions::new()).is_some(), n > 0);
        }
    }
}

/// `previous` may be of the same strategy with other parameters, and for a larger, smaller or empty set.
pub(super) fn its_own_picker_of_any_set_is_tolerated(lab: &Lab<'_>) {
    let sizes = [0, 1, 2, 100];
    for before in sizes {
        for after in sizes {
            let (old, new) =
                (lab.equal(before), lab.weighing(&(0..after as u32).map(|i| i + 1).collect::<Vec<_>>()));
            old.serve();
            let set = new.set();
            let published = old.pool().home().published.load();
            let picker = new.strategy().picker(&set, Some(&*published.picker));
            for _ in 0..10 {
                assert_eq!(new.pick_by(&*picker, &set, &Exclusions::new()).is_some(), after > 0);
            }
        }
    }
}

/// Outcomes of every kind and duration, of members that are there and of one that has left, break nothing: afterwards
/// everybody can still be found.
pub(super) fn outcomes_of_every_kind_are_survived(lab: &Lab<'_>) {
    let bench = lab.equal(4);
    let set = bench.set();
    let members: Vec<_> = set.iter().map(|(_, seat)| Arc::clone(seat.member())).collect();
    bench.remove("m003");
    let published = bench.pool().home().published.load();
    let times = [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX];
    for member in &members {
        for elapsed in times {
            for timeout in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
                let failures = FailureKind::ALL
                    .map(|kind| Outcome::failure(Failure::new(kind).with_retry_after(elapsed), elapsed));
                let others = [Outcome::success(elapsed), Outcome::cancelled(elapsed)];
                for outcome in failures.into_iter().chain(others) {
                    published.picker.on_start(member);
                    published.picker.on_outcome(member, &outcome.with_timeout(timeout));
                }
            }
        }
    }
    drop(published);
    let ids: Vec<_> = (0..3).map(StrategyBench::id).collect();
    for id in &ids {
        let others = bench.exclusions(ids.iter().filter(|other| *other != id));
        assert_eq!(bench.serve_without(&others).as_deref(), Some(id.as_str()), "it is the only eligible one");
    }
}
