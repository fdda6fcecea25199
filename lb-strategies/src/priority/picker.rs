//! Choosing among tiers, then within one.

use std::collections::BTreeMap;

use std::sync::Arc;

use lb_core::strategy::{
    Background, Candidates, Interest, Member, MemberSet, Outcome, Picker, Slot, Strategy, previous_as,
};

use super::load::{Spillover, TierHealth};
use crate::groups::Groups;
use crate::shares::Shares;

/// A picker of tiers; that of the inner strategy if there is but one. `priority` is the tier of an instance.
pub(super) fn picker<I: Send + Sync + 'static>(
    rule: Spillover,
    inner: &impl Strategy<I>,
    set: &MemberSet<I>,
    previous: Option<&dyn Picker<I>>,
    priority: fn(&I) -> u32,
) -> Box<dyn Picker<I>> {
    let mut tiers = BTreeMap::<u32, Vec<Slot>>::new();
    for (slot, member) in set.iter() {
        tiers.entry(priority(member.instance())).or_default().push(slot);
    }
    let before = previous_as::<PriorityPicker<I>, I>(previous);
    // A picker that is not of tiers may be the inner strategy's, of the time when there was one tier.
    let previous = |tier: u32| match before {
        Some(before) => before.tier(tier).map(|i| before.groups.picker(i)),
        None => previous,
    };
    if tiers.len() < 2 {
        return inner.picker(set, tiers.keys().next().and_then(|tier| previous(*tier)));
    }
    let (tiers, slots): (Vec<_>, Vec<_>) = tiers.into_iter().unzip();
    let groups = Groups::new(set, slots, inner, |i| previous(tiers[i]));
    let shares = Shares::new((0..groups.len()).map(|i| groups.weight(i)), set.len());
    let picker = PriorityPicker { rule, tiers: tiers.into(), groups, shares, priority };
    match before.filter(|before| before.tiers == picker.tiers) {
        Some(before) => picker.shares.take_over(&before.shares),
        None => picker.share_out(),
    }
    Box::new(picker)
}

struct PriorityPicker<I> {
    rule: Spillover,
    /// The priority of each group, in order.
    tiers: Box<[u32]>,
    groups: Groups<I>,
    shares: Shares,
    priority: fn(&I) -> u32,
}

impl<I: Send + Sync + 'static> PriorityPicker<I> {
    fn tier(&self, priority: u32) -> Option<usize> {
        self.tiers.binary_search(&priority).ok()
    }

    fn tier_of(&self, member: &Member<I>) -> Option<usize> {
        self.tier((self.priority)(member.instance()))
    }

    #[cold]
    fn count(&self, candidates: &Candidates<'_, I>) {
        self.shares.count(|tier| self.groups.available_weight(tier, candidates));
        self.share_out();
    }

    fn share_out(&self) {
        let tiers = self.groups.len();
        let tier = |i| TierHealth { healthy: self.shares.available(i), total: self.groups.weight(i) };
        let nobody = (0..tiers).all(|i| self.shares.available(i) == 0);
        let left = |tier: TierHealth| if nobody { tier.total } else { tier.healthy };
        let mut write = self.shares.writer();
        self.rule.share(tiers, tier, left, |i, load| write(i, f64::from(load.percent) / 100.0));
    }
}

impl<I: Send + Sync + 'static> Picker<I> for PriorityPicker<I> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let drawn = self.shares.draw(candidates, || self.count(candidates));
        self.groups.pick(drawn, candidates).or_else(|| {
            let others = (0..self.groups.len()).filter(|tier| *tier != drawn);
            others.into_iter().find_map(|tier| self.groups.pick(tier, candidates))
        })
    }

    fn on_start(&self, member: &Member<I>) {
        self.groups.on_start(self.tier_of(member), member);
    }

    fn on_outcome(&self, member: &Member<I>, outcome: &Outcome) {
        self.groups.on_outcome(self.tier_of(member), member, outcome);
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

    /// Tiers by the last digit of the id, so that the members of the contract have some.
    struct ByDigit;

    impl Strategy<Instance> for ByDigit {
        fn picker(
            &self,
            set: &MemberSet<Instance>,
            previous: Option<&dyn Picker<Instance>>,
        ) -> Box<dyn Picker<Instance>> {
            let tier = |instance: &Instance| u32::from(instance.id.bytes().last().unwrap_or(b'0') % 3);
            picker(Spillover::DEFAULT, &RoundRobin::new(), set, previous, tier)
        }
    }

    #[test]
    fn with_tiers_it_keeps_the_contract_but_for_even_shares() {
        StrategyContract::new().even(false).check(|| ByDigit);
    }
}
