//! Points on a circle: [`Ring`].

use lb_core::strategy::Slot;

use super::picker::PROBES;

/// Points on the circle of all 64-bit numbers, each of which belongs to a member. A key belongs to the first point from
/// its hash on.
#[derive(Debug)]
pub(super) struct Ring {
    points: Box<[Point]>,
    /// The circle is cut into equal arcs, one for two to four points; this is the first point from the beginning of each
    /// on. Points are even, so a search ends after a few steps, however many there are.
    first: Box<[u32]>,
    /// How many bits of a hash do not say in which arc it is.
    arc: u32,
}

/// A point and whose it is, side by side: one cache miss, and not two.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: u64,
    owner: Slot,
}

impl Ring {
    /// A ring of these points. Of several at the same place the one that is named first counts.
    pub(super) fn new(points: Vec<(u64, Slot)>) -> Self {
        let mut points: Box<[_]> = points.into_iter().map(|(at, owner)| Point { at, owner }).collect();
        points.sort_by_key(|point| point.at);
        let bits = points.len().next_power_of_two().trailing_zeros().saturating_sub(2).max(1);
        let arc = u64::BITS - bits;
        let mut first = Vec::with_capacity(1 << bits);
        for (i, point) in points.iter().enumerate() {
            while (first.len() as u64) <= point.at >> arc {
                first.push(i as u32);
            }
        }
        first.resize(1 << bits, points.len() as u32);
        Self { points, first: first.into(), arc }
    }

    /// The first point from `hash` on; 0 behind the last one.
    #[inline]
    fn search(&self, hash: u64) -> usize {
        let mut i = self.first[(hash >> self.arc) as usize] as usize;
        while self.points.get(i).is_some_and(|point| point.at < hash) {
            i += 1;
        }
        if i < self.points.len() { i } else { 0 }
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
        self.points.iter().map(|point| (point.at, point.owner))
    }
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
