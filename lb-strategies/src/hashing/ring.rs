//! Points on a circle: [`Ring`].

use lb_core::strategy::Slot;

use super::picker::PROBES;

/// Points on the circle of all 64-bit numbers, each of which belongs to a member. A key belongs to the first point from
/// its hash on.
///
/// The circle is cut into equal arcs, one for two to four points, so a search looks at a few points, however many there
/// are. Where they are millions each line of memory is a cache miss: a point is kept in as few bits as can be, and arcs are
/// longer.
#[derive(Debug)]
pub(super) struct Ring {
    points: Box<[Point]>,
    /// The bits of each point that are not in [`Point::at`]; empty if they are all 0.
    rest: Box<[u32]>,
    /// The first point of each arc, and the end of the last one.
    first: Box<[u32]>,
    /// How many bits of a hash say in which arc it is.
    bits: u32,
}

/// Above so many points arcs are twice as long.
const MANY: usize = 1 << 20;

/// A point and whose it is, side by side: one cache miss, and not two.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// The 32 bits behind those that say in which arc it is.
    at: u32,
    owner: Slot,
}

impl Ring {
    /// A ring of these points. Of several at the same place the one that is named first counts.
    pub(super) fn new(mut points: Vec<(u64, Slot)>) -> Self {
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
        let rest: Box<[u32]> = points.iter().map(|(at, _)| within(*at, bits).1).collect();
        Self {
            points: points.iter().map(|&(at, owner)| Point { at: within(at, bits).0, owner }).collect(),
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
        let (at, rest) = within(hash, self.bits);
        while i < end && (self.points[i].at < at || (self.points[i].at == at && self.rest(i) < rest)) {
            i += 1;
        }
        if i < self.points.len() { i } else { 0 }
    }

    /// The bits of a point that are not in [`Point::at`].
    #[cold]
    fn rest(&self, i: usize) -> u32 {
        self.rest.get(i).copied().unwrap_or(0)
    }

    /// Whose the points are from `hash` on, once around at most.
    #[inline]
    pub(super) fn walk(&self, hash: u64) -> impl Iterator<Item = Slot> {
        let (before, from) = self.points.split_at(self.search(hash));
        from.iter().chain(before).take(PROBES).map(|point| point.owner)
    }

    /// All points with their owners.
    #[cfg(test)]
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, Slot)> {
        self.points.iter().enumerate().map(|(i, point)| {
            let arc = self.first.partition_point(|first| *first as usize <= i) as u64 - 1;
            let within = (u64::from(point.at) << 32 | u64::from(self.rest(i))) >> self.bits;
            (arc << (u64::BITS - self.bits) | within, point.owner)
        })
    }
}

/// Where a hash is within its arc: the first 32 bits, and the rest.
#[inline]
fn within(hash: u64, bits: u32) -> (u32, u32) {
    let within = hash << bits;
    ((within >> 32) as u32, within as u32)
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
            let ring = Ring::new(points.iter().copied().zip(slots.iter().copied()).collect());
            for hash in hashes.into_iter().chain(points.iter().copied()) {
                let next = ring.points().find(|(point, _)| *point >= hash).or_else(|| ring.points().next());
                prop_assert_eq!(ring.walk(hash).next(), next.map(|(_, slot)| slot));
                prop_assert_eq!(ring.walk(hash).count(), points.len().min(PROBES));
            }
        }
    }
}
