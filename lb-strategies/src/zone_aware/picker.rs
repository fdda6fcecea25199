//! Choosing among zones, then within one.

use std::collections::BTreeMap;

use std::sync::Arc;

use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, previous_as,
};

use super::share::{ZoneState, share};
use crate::groups::Groups;
use crate::shares::Shares;

/// Who is where, and how many it takes.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The caller's own.
    pub(super) zone: Box<str>,
    pub(super) min_size: usize,
    pub(super) traffic: BTreeMap<Box<str>, f64>,
}

impl Rule {
    /// What comes from a zone, relative to the others.
    fn traffic_of(&self, zone: Option<&str>) -> f64 {
        match zone {
            None => 0.0,
            Some(_) if self.traffic.is_empty() => 1.0,
            Some(zone) => self.traffic.get(zone).copied().filter(|x| x.is_finite()).unwrap_or(0.0).max(0.0),
        }
    }
}

/// A picker of zones; that of the inner strategy if zones do not count. `zone` is where an instance is.
pub(super) fn picker<I: Send + Sync + 'static>(
    rule: &Rule,
    inner: &impl Strategy<I>,
    set: &MemberSet<I>,
    previous: Option<&dyn Picker<I>>,
    zone: fn(&I) -> Option<&str>,
) -> Box<dyn Picker<I>> {
    let before = previous_as::<ZonePicker<I>, I>(previous);
    let mut zones = BTreeMap::<Option<&str>, Vec<Slot>>::new();
    if set.len() >= rule.min_size {
        for (slot, member) in set.iter() {
            zones.entry(zone(member.instance())).or_default().push(slot);
        }
    }
    let own = zones.remove(&Some(&*rule.zone));
    let (Some(own), false) = (own, zones.is_empty()) else {
        return inner.picker(set, if before.is_some() { None } else { previous });
    };
    let zones = std::iter::once((Some(&*rule.zone), own)).chain(zones);
    let (zones, slots): (Vec<_>, Vec<_>) = zones.unzip();
    // A picker that is not of zones may be the inner strategy's, of the time when zones did not count.
    let groups = Groups::new(set, slots, inner, |i| match before {
        Some(before) => before.group(zones[i]).map(|i| before.groups.picker(i)),
        None => previous,
    });
    let picker = ZonePicker {
        traffic: zones.iter().map(|zone| rule.traffic_of(*zone)).collect(),
        zones: zones.into_iter().map(|zone| zone.map(Into::into)).collect(),
        shares: Shares::new((0..groups.len()).map(|i| groups.weight(i)), set.len()),
        groups,
        zone,
    };
    match before.filter(|before| before.zones == picker.zones && before.traffic == picker.traffic) {
        Some(before) => picker.shares.take_over(&before.shares),
        None => picker.share_out(),
    }
    Box::new(picker)
}

struct ZonePicker<I> {
    /// The zone of each group: the own one, then the others in order.
    zones: Box<[Option<Box<str>>]>,
    /// What comes from each.
    traffic: Box<[f64]>,
    groups: Groups<I>,
    shares: Shares,
    zone: fn(&I) -> Option<&str>,
}

impl<I: Send + Sync + 'static> ZonePicker<I> {
    fn group(&self, zone: Option<&str>) -> Option<usize> {
        let (own, others) = self.zones.split_first()?;
        if own.as_deref() == zone {
            return Some(0);
        }
        others.binary_search_by(|other| other.as_deref().cmp(&zone)).ok().map(|i| i + 1)
    }

    fn group_of(&self, member: &Member<I>) -> Option<usize> {
        self.group((self.zone)(member.instance()))
    }

    #[cold]
    fn count(&self, candidates: &Candidates<'_, I>) {
        self.shares.count(|zone| self.groups.available_weight(zone, candidates));
        self.share_out();
    }

    fn share_out(&self) {
        let zone = |i| ZoneState { capacity: self.shares.available(i), traffic: self.traffic[i] };
        share(self.groups.len(), zone, self.shares.writer());
    }

    /// The zones but `drawn`, in the order in which they stand in for it.
    #[cold]
    fn pick_elsewhere(&self, drawn: usize, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let first = self.shares.draw_elsewhere(candidates);
        let others = (first..self.groups.len()).chain(1..first);
        let mut order = std::iter::once(0).chain(others).filter(|zone| *zone != drawn);
        order.find_map(|zone| self.groups.pick(zone, candidates))
    }
}

impl<I: Send + Sync + 'static> Picker<I> for ZonePicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let drawn = self.shares.draw(candidates, || self.count(candidates));
        self.groups.pick(drawn, candidates).or_else(|| self.pick_elsewhere(drawn, candidates))
    }

    fn on_start(&self, member: &Member<I>) {
        self.groups.on_start(self.group_of(member), member);
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.groups.on_outcome(self.group_of(member), member, outcome);
    }

    fn interest(&self) -> Interest {
        self.groups.interest()
    }

    fn background(&self) -> Vec<Arc<dyn Background>> {
        self.groups.background()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use lb_core::testing::StrategyContract;

    use crate::RoundRobin;

    /// Zones by the last digit of the id, so that the members of the contract have some.
    struct ByDigit;

    fn zone(instance: &Instance) -> Option<&str> {
        [Some("a"), None, Some("c"), Some("d")][usize::from(instance.id.bytes().last().unwrap_or(b'0') % 4)]
    }

    impl Strategy<Instance> for ByDigit {
        fn picker(
            &self,
            set: &MemberSet<Instance>,
            previous: Option<&dyn Picker<Instance>>,
        ) -> Box<dyn Picker<Instance>> {
            let rule = Rule { zone: "c".into(), min_size: 3, traffic: BTreeMap::new() };
            picker(&rule, &RoundRobin::new(), set, previous, zone)
        }
    }

    #[test]
    fn with_zones_it_keeps_the_contract_but_for_even_shares() {
        StrategyContract::new().even(false).check(|| ByDigit);
    }
}
