//! Choosing by a table: [`HashPicker`].

use std::cmp::Ordering;
use std::sync::Arc;

use lb_core::strategy::{Candidates, Interest, Member, MemberSet, Picker, Seat, Slot, previous_as};

use super::bound::{Bound, Limit, LoadFactor};
use super::mix::{mix, unit};
use super::nodes::{Nodes, Source, id_hash, sources};

/// How many members a table proposes for a key before everybody is looked at.
pub(super) const PROBES: usize = 64;

/// Says for a key in which order members are asked.
pub(super) trait Table: Send + Sync + Sized + 'static {
    /// What a table is built from besides the members.
    type Spec: Copy + PartialEq + Send + Sync + 'static;

    /// The order of ids in which members are given to [`build`](Self::build).
    const ORDER: fn(&str, &str) -> Ordering = |a, b| a.cmp(b);

    fn build(spec: Self::Spec, members: &[Source<'_>]) -> Self;

    /// The members to ask for a key; about [`PROBES`], some of them several times.
    fn probe(&self, key: u64) -> impl Iterator<Item = Slot>;
}

/// What is made from the ids and weights of the members, and stays as long as those do.
struct Built<T: Table> {
    spec: T::Spec,
    nodes: Nodes,
    table: T,
}

/// Gives requests with the same key to the same member, as long as that is eligible. Requests without a key get a
/// random one.
pub(super) struct HashPicker<I, T: Table> {
    built: Arc<Built<T>>,
    bound: Option<Bound<I>>,
}

impl<I: Send + Sync + 'static, T: Table> HashPicker<I, T> {
    pub(super) fn boxed(
        spec: T::Spec,
        load_factor: Option<LoadFactor>,
        set: &MemberSet<I>,
        previous: Option<&dyn Picker<I>>,
    ) -> Box<dyn Picker<I>> {
        let sources = sources(set, T::ORDER);
        let nodes = Nodes::new(&sources);
        let before = previous_as::<Self, I>(previous).map(|before| &before.built);
        let built = match before.filter(|before| before.spec == spec && before.nodes == nodes) {
            Some(before) => Arc::clone(before),
            None => Arc::new(Built { spec, nodes, table: T::build(spec, &sources) }),
        };
        Box::new(Self { built, bound: load_factor.map(|factor| Bound::new(factor, set)) })
    }
}

impl<I: Send + Sync + 'static, T: Table> Picker<I> for HashPicker<I, T> {
    fn pick(&self, candidates: &Candidates<'_, I>) -> Option<Slot> {
        let key = candidates.hash_key().unwrap_or_else(|| candidates.random_bits());
        let choice = Choice { key, candidates, limit: self.bound.as_ref().map(Bound::limit) };
        let mut proposed = self.built.table.probe(key);
        proposed.find(|slot| choice.takes(*slot)).or_else(|| self.built.nodes.pick(&choice))
    }

    fn interest(&self) -> Interest {
        Interest::NONE
    }
}

/// What is known when a member is sought for a key.
pub(super) struct Choice<'c, 'a, I> {
    pub(super) key: u64,
    pub(super) candidates: &'c Candidates<'a, I>,
    limit: Option<Limit>,
}

impl<'a, I> Choice<'_, 'a, I> {
    /// Whether the member gets the request.
    #[inline]
    fn takes(&self, slot: Slot) -> bool {
        self.eligible(slot).is_some_and(|seat| self.has_room(seat) && self.is_warm(seat))
    }

    #[inline]
    pub(super) fn eligible(&self, slot: Slot) -> Option<&'a Seat<I>> {
        self.candidates.eligible_seat(slot)
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.limit.is_some()
    }

    #[inline]
    pub(super) fn has_room(&self, seat: &Seat<I>) -> bool {
        self.limit.is_none_or(|limit| limit.has_room(seat.in_flight(), seat.weight()))
    }

    /// Whether a member that is eased in takes this key already. Once it does it goes on to: keys come over one by one.
    #[inline]
    fn is_warm(&self, seat: &Seat<I>) -> bool {
        let (weight, whole) = (self.candidates.weight(seat), f64::from(seat.weight()));
        weight >= whole || self.luck(seat) * whole < weight
    }

    #[cold]
    fn luck(&self, member: &Member<I>) -> f64 {
        // Not the draw of rendezvous hashing: that falls on those whom the table does not find.
        unit(mix(!(self.key ^ id_hash(member.id()))))
    }
}
