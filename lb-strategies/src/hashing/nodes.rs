//! The members of a set as hashing sees them, and rendezvous hashing among them: [`Nodes`].

use std::cmp::Ordering;

use lb_core::strategy::{MemberSet, Slot};
use xxhash_rust::xxh64::xxh64;

use super::mix::{mix, unit};
use super::picker::Choice;

/// A member, before tables are built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) id: &'a str,
    pub(super) slot: Slot,
    pub(super) weight: u32,
}

/// The members in an order that depends on their ids only: all processes have the same.
pub(super) fn sources<I>(set: &MemberSet<I>, order: fn(&str, &str) -> Ordering) -> Vec<Source<'_>> {
    let sources = set.iter().map(|(slot, seat)| Source { id: seat.id(), slot, weight: seat.weight() });
    let mut sources: Vec<_> = sources.collect();
    sources.sort_unstable_by(|a, b| order(a.id, b.id));
    sources
}

/// What an id is hashed to, wherever it is not a table's matter.
pub(crate) fn id_hash(id: &str) -> u64 {
    xxh64(id.as_bytes(), 0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    id: u64,
    slot: Slot,
    weight: u32,
}

/// The members of a set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nodes(Box<[Node]>);

impl Nodes {
    pub(super) fn new(sources: &[Source<'_>]) -> Self {
        let node =
            |source: &Source<'_>| Node { id: id_hash(source.id), slot: source.slot, weight: source.weight };
        Self(sources.iter().map(node).collect())
    }

    /// Rendezvous hashing (Thaler, Ravishankar 1998; with weights: Schindelhauer, Schomaker 2005): everybody draws a
    /// time from an exponential distribution with its weight as the rate, from a random source seeded with the key and its
    /// id, and the first is taken: `−ln(1 − u) / w` is the least. The chance to be first is in proportion to the weight, and
    /// who is away changes nothing among the others.
    ///
    /// If loads are bounded and nobody has room, the least loaded is taken.
    ///
    /// O(n), about 2 ns each: only those who beat all before them, ln n in the mean, are asked whether they are eligible.
    pub(super) fn pick<I>(&self, choice: &Choice<'_, '_, I>) -> Option<Slot> {
        let (mut first, mut earliest) = (None, f64::INFINITY);
        for node in &self.0 {
            let u = draw(choice.key, node);
            // −ln(1 − u) ≥ u: most are ruled out without a logarithm.
            if first.is_some() && u >= earliest * f64::from(node.weight) {
                continue;
            }
            let Some(member) = choice.eligible(node.slot).filter(|member| choice.has_room(member)) else {
                continue;
            };
            let time = arrival(u, choice.candidates.weight(member));
            if first.is_none() || time < earliest {
                (first, earliest) = (Some(node.slot), time);
            }
        }
        first.or_else(|| if choice.is_bounded() { self.least_loaded(choice) } else { None })
    }

    /// The eligible member with the fewest requests in flight for its weight; among equals the first to arrive.
    #[cold]
    fn least_loaded<I>(&self, choice: &Choice<'_, '_, I>) -> Option<Slot> {
        let eligible = self.0.iter().filter_map(|node| {
            let member = choice.eligible(node.slot)?;
            let weight = choice.candidates.weight(member).max(f64::MIN_POSITIVE);
            Some((node.slot, member.in_flight() as f64 / weight, arrival(draw(choice.key, node), weight)))
        });
        let least = eligible.min_by(|(_, a, x), (_, b, y)| a.total_cmp(b).then_with(|| x.total_cmp(y)));
        least.map(|(slot, ..)| slot)
    }
}

#[inline]
fn draw(key: u64, node: &Node) -> f64 {
    unit(mix(key ^ node.id))
}

/// When a member arrives that draws `u`.
fn arrival(u: f64, weight: f64) -> f64 {
    -(-u).ln_1p() / weight
}
