//! Points on a circle: [`Ring`].

use lb_core::strategy::Slot;

use super::picker::PROBES;

/// Points on the circle of all 64-bit numbers, each of which belongs to a member. A key belongs to the first point from
/// its hash on.
///
/// Where points are millions each line of memory that a search looks at is a cache miss, so a point is kept in as few bits
/// as can be.
#[derive(Debug)]
pub(super) enum Ring {
    /// Slots have 16 bits.
    Narrow(Points<u16>),
    Wide(Points<u32>),
}

/// The points of a ring, in order.
///
/// The circle is cut into equal arcs, one for two to four points, or twice as many if they are millions: a search looks at
/// a few points, however many there are.
#[derive(Debug)]
pub(super) struct Points<W> {
    all: Box<[Point<W>]>,
    /// The bits of each point that are not in [`Point::at`]; empty if they are all 0.
    rest: Box<[u64]>,
    /// The first point of each arc, and the end of the last one.
    first: Box<[u32]>,
    /// How many bits of a hash say in which arc it is.
    bits: u32,
}

/// A point and whose it is, side by side: one cache miss, and not two.
#[derive(Clone, Copy, Debug)]
struct Point<W> {
    /// As many bits as there is room for behind those that say in which arc it is.
    at: W,
    owner: W,
}

/// Above so many points arcs are twice as long.
const MANY: usize = 1 << 20;

/// A number of few bits.
pub(super) trait Word: Copy + Ord + Into<u32> {
    const BITS: u32;
    /// The last bits of a number.
    fn of(number: u64) -> Self;
}

impl Word for u16 {
    const BITS: u32 = Self::BITS;
    #[inline]
    fn of(number: u64) -> Self {
        number as Self
    }
}

impl Word for u32 {
    const BITS: u32 = Self::BITS;
    #[inline]
    fn of(number: u64) -> Self {
        number as Self
    }
}

impl Ring {
    /// A ring of these points. Of several at the same place the one that is named first counts.
    pub(super) fn new(points: Vec<(u64, Slot)>) -> Self {
        if points.iter().all(|(_, owner)| owner.index() <= u16::MAX.into()) {
            Self::Narrow(Points::new(points))
        } else {
            Self::Wide(Points::new(points))
        }
    }

    /// Whose the points are from `hash` on, once around at most.
    #[inline]
    pub(super) fn walk(&self, hash: u64) -> impl Iterator<Item = Slot> {
        let (from, len) = match self {
            Self::Narrow(points) => (points.search(hash), points.all.len()),
            Self::Wide(points) => (points.search(hash), points.all.len()),
        };
        (0..len.min(PROBES)).map(move |step| {
            let i = from + step;
            self.owner(if i < len { i } else { i - len })
        })
    }

    #[inline]
    fn owner(&self, i: usize) -> Slot {
        match self {
            Self::Narrow(points) => Slot::from_index(points.all[i].owner.into()),
            Self::Wide(points) => Slot::from_index(points.all[i].owner),
        }
    }

    /// All points with their owners.
    #[cfg(test)]
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, Slot)> {
        let at: Vec<_> = match self {
            Self::Narrow(points) => (0..points.all.len()).map(|i| points.whole(i)).collect(),
            Self::Wide(points) => (0..points.all.len()).map(|i| points.whole(i)).collect(),
        };
        at.into_iter().enumerate().map(|(i, at)| (at, self.owner(i)))
    }
}

impl<W: Word> Points<W> {
    fn new(mut points: Vec<(u64, Slot)>) -> Self {
        points.sort_by_key(|(at, _)| *at);
        let in_arc = if points.len() > MANY { 8 } else { 4 };
        let bits = (points.len().next_power_of_two() / in_arc).max(2).trailing_zeros();
        let mut first = Vec::with_capacity((1 << bits) + 1);
        for (i, (at, _)) in points.iter().enumerate() {
            while (first.len() as u64) <= at >> (u64::BITS - bits) {
                first.push(i as u32);
            }
        }
        first.resize((1 << bits) + 1, points.len() as u32);
        let rest: Box<[u64]> = points.iter().map(|(at, _)| within::<W>(*at, bits).1).collect();
        let point =
            |(at, owner): (u64, Slot)| Point { at: within(at, bits).0, owner: W::of(owner.index() as u64) };
        Self {
            all: points.into_iter().map(point).collect(),
            rest: if rest.iter().all(|rest| *rest == 0) { Box::default() } else { rest },
            first: first.into(),
            bits,
        }
    }

    /// The first point from `hash` on; 0 behind the last one.
    #[inline]
    fn search(&self, hash: u64) -> usize {
        let arc = (hash >> (u64::BITS - self.bits)) as usize;
        let (mut i, end) = (self.first[arc] as usize, self.first[arc + 1] as usize);
        let (at, rest) = within::<W>(hash, self.bits);
        while i < end && (self.all[i].at < at || (self.all[i].at == at && self.rest(i) < rest)) {
            i += 1;
        }
        if i < self.all.len() { i } else { 0 }
    }

    /// The bits of a point that are not in [`Point::at`].
    #[cold]
    fn rest(&self, i: usize) -> u64 {
        self.rest.get(i).copied().unwrap_or(0)
    }

    #[cfg(test)]
    fn whole(&self, i: usize) -> u64
    where
        u64: From<W>,
    {
        let arc = self.first.partition_point(|first| *first as usize <= i) as u64 - 1;
        let within = u64::from(self.all[i].at) << (u64::BITS - W::BITS) | self.rest(i) >> W::BITS;
        arc << (u64::BITS - self.bits) | within >> self.bits
    }
}

/// Where a hash is within its arc: the first bits, and the rest, which begins at the highest.
#[inline]
fn within<W: Word>(hash: u64, bits: u32) -> (W, u64) {
    let within = hash << bits;
    (W::of(within >> (u64::BITS - W::BITS)), within << W::BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use super::super::testing::slots;

    proptest! {
        #[test]
        fn a_search_finds_what_a_search_of_all_finds(
            points in proptest::collection::vec(prop_oneof![any::<u64>(), 0..9_u64, (u64::MAX - 9)..], 0..50),
            hashes in proptest::collection::vec(prop_oneof![any::<u64>(), 0..9_u64, (u64::MAX - 9)..], 20),
        ) {
            let slots = slots(points.len());
            let points: Vec<_> = points.iter().copied().zip(slots).collect();
            let rings = [Ring::Narrow(Points::new(points.clone())), Ring::Wide(Points::new(points.clone()))];
            for ring in rings {
                for hash in hashes.iter().copied().chain(points.iter().map(|(at, _)| *at)) {
                    let next = ring.points().find(|(point, _)| *point >= hash).or_else(|| ring.points().next());
                    prop_assert_eq!(ring.walk(hash).next(), next.map(|(_, slot)| slot));
                    prop_assert_eq!(ring.walk(hash).count(), points.len().min(PROBES));
                }
                let mut sorted = points.clone();
                sorted.sort_by_key(|(at, _)| *at);
                prop_assert!(ring.points().eq(sorted));
            }
        }
    }
}
