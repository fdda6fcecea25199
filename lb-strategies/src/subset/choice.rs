//! Which members are in a subset.

use lb_core::strategy::{MemberSet, Slot};

use crate::client::ClientIndex;
use crate::hashing::{id_hash, mix};

/// The members in the order of the hashes of their ids: the same for all clients, and nothing that ids have in common
/// shows in it. Who comes or leaves does not change the order of the others.
pub(crate) fn in_hash_order<I>(set: &MemberSet<I>) -> Vec<Slot> {
    let mut order: Vec<_> =
        set.iter().map(|(slot, member)| (mix(id_hash(member.id())), &**member.id(), slot)).collect();
    order.sort_unstable();
    order.into_iter().map(|(.., slot)| slot).collect()
}

/// `size` members from ⌊index · N / count⌋ on, once around at most.
pub(super) fn window(order: &[Slot], client: ClientIndex, size: usize) -> Vec<Slot> {
    let start = start(order.len(), client);
    let (before, from) = order.split_at(start);
    from.iter().chain(before).take(size).copied().collect()
}

fn start(members: usize, client: ClientIndex) -> usize {
    (u64::from(client.index()) * members as u64 / u64::from(client.count())) as usize
}

/// The first `size` members by the hash of their id and the client's name.
pub(super) fn ranked<I>(set: &MemberSet<I>, client: u64, size: usize) -> Vec<Slot> {
    let rank = |id: &str| mix(id_hash(id) ^ mix(client));
    let mut ranks: Vec<_> =
        set.iter().map(|(slot, member)| (rank(member.id()), &**member.id(), slot)).collect();
    if size < ranks.len() {
        ranks.select_nth_unstable(size);
        ranks.truncate(size);
    }
    ranks.sort_unstable();
    ranks.into_iter().map(|(.., slot)| slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::testing::StrategyBench;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use crate::Random;

    /// How many clients have each of `members` places in their window.
    fn clients_of(members: usize, clients: u32, size: usize) -> Vec<u32> {
        let mut counts = vec![0; members];
        for index in 0..clients {
            let start = start(members, ClientIndex::new(index, clients).unwrap());
            (0..size).for_each(|i| counts[(start + i) % members] += 1);
        }
        counts
    }

    proptest! {
        #[test]
        fn every_member_has_as_many_clients_as_any_other_to_within_one(
            members in 1..300_usize, clients in 1..300_u32, part in 0.0..1.0_f64,
        ) {
            let size = 1 + (part * (members - 1) as f64) as usize;
            let counts = clients_of(members, clients, size);
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{counts:?}");
        }

        /// One member less: a client replaces one of its own, or two if its window lies across the end of the circle.
        #[test]
        fn a_client_replaces_one_member_or_two(
            members in 3..300_usize, index in 0..100_u32, leaves: prop::sample::Index, size in 1..50_usize,
        ) {
            let size = size.min(members - 2);
            let client = ClientIndex::new(index, 100).unwrap();
            let leaves = leaves.index(members);
            let of = |n: usize, name: &dyn Fn(usize) -> usize| -> BTreeSet<usize> {
                (0..size).map(|i| name((start(n, client) + i) % n)).collect()
            };
            let before = of(members, &|place| place);
            let after = of(members - 1, &|place| if place < leaves { place } else { place + 1 });
            let most = if before.contains(&0) && before.contains(&(members - 1)) { 2 } else { 1 };
            prop_assert!(after.difference(&before).count() <= most, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_thousand_clients_share_ten_thousand_members_evenly() {
        assert!(clients_of(10_000, 1_000, 100).iter().all(|clients| *clients == 10));
        assert!(clients_of(9_999, 1_000, 100).iter().all(|clients| [10, 11].contains(clients)));
    }

    #[test]
    fn ranks_change_only_by_who_comes_and_leaves() {
        let bench = StrategyBench::new(Random::new(), 1).with_equal_members(200);
        let ids = |client| -> BTreeSet<String> {
            let set = bench.set();
            let slots = ranked(&set, client, 20);
            slots.iter().map(|slot| set.member(*slot).unwrap().id().to_string()).collect()
        };
        let before: Vec<_> = (0..100).map(ids).collect();
        bench.remove("m077");
        for (client, before) in before.iter().enumerate() {
            let after = ids(client as u64);
            assert_eq!(after.len(), 20);
            let left: Vec<_> = before.difference(&after).collect();
            assert!(left.is_empty() || left == ["m077"], "{left:?}");
        }
        let with: usize = before.iter().filter(|ids| ids.contains("m077")).count();
        assert!((3..20).contains(&with), "due to 10 of 100 clients, not {with}");
    }

    #[test]
    fn the_order_does_not_depend_on_the_past() {
        let forth = StrategyBench::new(Random::new(), 1).with_equal_members(50);
        let back = StrategyBench::new(Random::new(), 1);
        (0..50).rev().for_each(|i| back.put(lb_core::Instance::new(StrategyBench::id(i))));
        let ids = |bench: &StrategyBench| -> Vec<_> {
            let set = bench.set();
            in_hash_order(&set).iter().map(|slot| set.member(*slot).unwrap().id().clone()).collect()
        };
        assert_eq!(ids(&forth), ids(&back));
    }
}
