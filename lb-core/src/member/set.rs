//! The members that can be picked from: [`MemberSet`].

use std::fmt;
use std::sync::Arc;

use super::member::Member;
use super::seat::Seat;

/// Names a member within one [`MemberSet`] and its subsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    #[inline]
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The slot of that [`index`](Self::index), for who keeps slots in fewer bits. Where there is none of it in a set, nobody
    /// is found.
    #[inline]
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// The number: below the length of the whole set.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a strategy needs to know of a set's weights without looking at each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weights {
    /// The largest weight; 0 in an empty set.
    pub max: u32,
    /// The smallest weight; 0 in an empty set.
    pub min: u32,
    /// The sum of all weights.
    pub total: u64,
}

impl Weights {
    /// Whether all members weigh the same.
    pub const fn are_equal(&self) -> bool {
        self.min == self.max
    }
}

/// Members per chunk of a [`Table`].
const CHUNK: usize = 128;

/// An array, not a vector: the way to a member is one load shorter, and needs no comparison with a length.
type Chunk<I> = [Option<Seat<I>>; CHUNK];

/// A vector of members in chunks: an update copies one chunk and the list of chunks, and shares all other chunks with
/// the version before. Copying a flat vector would touch the reference count of every member, on the very cache
/// lines that picks write: at 10,000 members that halves the rate of picks.
pub(crate) struct Table<I> {
    chunks: Vec<Arc<Chunk<I>>>,
    len: usize,
}

impl<I> Default for Table<I> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<I> Table<I> {
    /// The place at `index`, in a chunk that no other version shares.
    fn place_mut(&mut self, index: usize) -> &mut Option<Seat<I>> {
        &mut Arc::make_mut(&mut self.chunks[index / CHUNK])[index % CHUNK]
    }

    /// Appends a member; returns its index.
    pub(crate) fn push(&mut self, seat: Seat<I>) -> usize {
        let index = self.len;
        if index.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new([const { None }; CHUNK]));
        }
        *self.place_mut(index) = Some(seat);
        self.len += 1;
        index
    }

    /// Puts another member at `index`, which must exist.
    pub(crate) fn replace(&mut self, index: usize, seat: Seat<I>) {
        *self.place_mut(index) = Some(seat);
    }

    /// Takes the member at `index`, which must exist, out; the last one takes its place and is returned.
    pub(crate) fn swap_remove(&mut self, index: usize) -> Option<Arc<Member<I>>> {
        let last = self.place_mut(self.len - 1).take()?;
        self.len -= 1;
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.pop();
        }
        if index == self.len {
            return None;
        }
        let member = Arc::clone(last.member());
        self.replace(index, last);
        Some(member)
    }
}

/// The members that can be picked from: those with a weight, not draining. Immutable; cloning is O(1), an update
/// shares what did not change.
///
/// A [`subset`](Self::subset) has fewer members under the same slots, so that a strategy built on it yields slots
/// which its parent understands.
pub struct MemberSet<I> {
    chunks: Arc<[Arc<Chunk<I>>]>,
    len: usize,
    view: Option<Arc<[Slot]>>,
    weights: Weights,
}

impl<I> Clone for MemberSet<I> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks), view: self.view.clone(), ..*self }
    }
}

impl<I> Default for MemberSet<I> {
    fn default() -> Self {
        Self::new(&Table::default(), Weights::default())
    }
}

impl<I> MemberSet<I> {
    /// The members that are in the table now.
    pub(crate) fn new(table: &Table<I>, weights: Weights) -> Self {
        Self { chunks: table.chunks.iter().cloned().collect(), len: table.len, view: None, weights }
    }

    /// Whether the two are the same version of the same set.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// How many members there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.view.as_ref().map_or(self.len, |view| view.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slot of the member at `position`, from 0 to `len() - 1`. O(1).
    #[inline]
    pub fn slot(&self, position: usize) -> Option<Slot> {
        match &self.view {
            Some(view) => view.get(position).copied(),
            None => (position < self.len).then(|| Slot::new(position)),
        }
    }

    /// The seat in a slot of this set or of the one that it is a subset of. O(1).
    #[inline]
    pub fn seat(&self, slot: Slot) -> Option<&Seat<I>> {
        self.chunks.get(slot.index() / CHUNK)?[slot.index() % CHUNK].as_ref()
    }

    /// The member in a slot of this set or of the one that it is a subset of. O(1).
    #[inline]
    pub fn member(&self, slot: Slot) -> Option<&Arc<Member<I>>> {
        self.seat(slot).map(Seat::member)
    }

    /// All members with their slots. The order is stable between updates but for the places of those that leave,
    /// which the last one takes; it means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Seat<I>)> {
        (0..self.len()).filter_map(|position| {
            let slot = self.slot(position)?;
            Some((slot, self.seat(slot)?))
        })
    }

    /// What is to know of all weights. O(1).
    #[inline]
    pub fn weights(&self) -> Weights {
        self.weights
    }

    /// The members in the given slots, under the same slots. O(number of slots). Slots that do not exist are left
    /// out.
    pub fn subset(&self, slots: impl IntoIterator<Item = Slot>) -> Self {
        let view: Arc<[Slot]> = slots.into_iter().filter(|slot| slot.index() < self.len).collect();
        let mut weights = Weights { min: u32::MAX, ..Weights::default() };
        for slot in &*view {
            let weight = self.seat(*slot).map_or(0, Seat::weight);
            weights.max = weights.max.max(weight);
            weights.min = weights.min.min(weight);
            weights.total += u64::from(weight);
        }
        if view.is_empty() {
            weights.min = 0;
        }
        Self { chunks: Arc::clone(&self.chunks), len: self.len, view: Some(view), weights }
    }
}

impl<I> fmt::Debug for MemberSet<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberSet")
            .field("len", &self.len())
            .field("weights", &self.weights)
            .finish_non_exhaustive()
    }
}
